"""What is true in a world, as those who read sentences about it need it.

    Known(facts)      the facts of a table, and no others
    Results(facts)    a subclass, audit_process.py: all that the rules among the facts make of any formula

A dataset whose entities are words and whose truths are listed needs nothing of its own. One with entities or truths without
number extends `Known` where the checker of its tables is.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence, Set

from icl_bench.schema import Fact


class Known(Set[Fact]):
    """A set of true facts: iteration gives those that are listed, `in` knows of all."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._facts = frozenset(facts)

    def __contains__(self, fact: object) -> bool:
        return fact in self._facts

    def __iter__(self) -> Iterator[Fact]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)

    def entity_at(self, tokens: Sequence[str], place: int) -> tuple[str | None, int] | None:
        """An entity that starts at a place of a sentence, although perhaps no listed fact names it.

        Returns:
            The entity, spelt as in facts, and the place behind it; None in its stead if one starts there that is malformed,
            so that the sentence cannot be understood. None if there is nothing but words.
        """
        return None

    def meaning(self, fact: Fact) -> Hashable:
        """The same for facts that say the same."""
        return fact
