"""Checks what a table of facts says is true: the facts, their proofs, and that none is missing.

The closure here is simple and shares no code with the one that made the tables. Every check yields its faults in words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import lru_cache
from typing import NamedTuple

from icl_bench.schema import Fact, Rule
from icl_bench.shallow import Row, words

Triggers = Mapping[str, Sequence[tuple[Fact, Fact, Fact | None]]]
"""relation of a new fact -> (head, premise that the fact may be, the other premise) of every rule it may fire"""
_CACHE = 4096  # proofs whose closure is kept: neighbouring rows share proofs


def triggers(rules: Iterable[Rule]) -> Triggers:
    """The rules by the relations of their premises."""
    found: dict[str, list[tuple[Fact, Fact, Fact | None]]] = defaultdict(list)
    for rule in rules:
        for premise, other in zip(rule.body, rule.body[1:] + rule.body[:1], strict=True):
            found[premise.relation].append((rule.head, premise, other if len(rule.body) == 2 else None))
    return found


def _match(premise: Fact, fact: Fact, bound: Mapping[str, str]) -> dict[str, str] | None:
    """The variables of a premise, if the fact fits it and what is bound already."""
    found = {**bound}
    fits = all(found.setdefault(variable, entity) == entity for variable, entity in zip(premise[1:], fact[1:], strict=True))
    return found if fits else None


def entailed(facts: Iterable[Fact], fires: Triggers) -> set[Fact]:
    """All that follows from facts, themselves included. A fact relates two different entities.

    >>> rules = triggers([Rule.parse("is_a(X, Z) :- is_a(X, Y), is_a(Y, Z).")])
    >>> sorted(map(str, entailed([Fact("is_a", "a", "b"), Fact("is_a", "b", "c")], rules)))
    ['is_a(a, b)', 'is_a(a, c)', 'is_a(b, c)']
    """
    known = set(facts)
    agenda = list(known)
    about: dict[tuple[str, int, str], list[Fact]] = defaultdict(list)
    for fact in agenda:  # grows while it is walked
        about[fact.relation, 1, fact.subject].append(fact)
        about[fact.relation, 2, fact.object].append(fact)
        for head, premise, other in fires.get(fact.relation, ()):
            bound = _match(premise, fact, {})
            if other is None or bound is None:
                bindings = [bound]
            else:
                place = 1 if other.subject in bound else 2
                partners = about.get((other.relation, place, bound[other[place]]), ())
                bindings = [_match(other, partner, bound) for partner in partners]
            for binding in filter(None, bindings):
                new = Fact(head.relation, binding[head.subject], binding[head.object])
                if new.subject != new.object and new not in known:
                    known.add(new)
                    agenda.append(new)
    return known


def plain(text: str) -> str:
    """A text without case and punctuation, with a space on either side, so that `in` matches whole words.

    >>> plain("Gruds can: blim.")
    ' gruds can blim '
    """
    return f" {' '.join(words(text))} "


class Entry(NamedTuple):
    """A row of the table of facts, without its wording."""

    fact: Fact
    status: str
    proof: tuple[str, ...]


class Truth:
    """What is stated and what is entailed in one dataset."""

    def __init__(self, rows: Iterable[Row], rules: Sequence[Rule]) -> None:
        """Read the table of facts and close what is stated under the rules."""
        self.table: dict[str, Entry] = {}
        self.sentences: dict[Fact, str] = {}
        self.repeated: list[str] = []
        for row in rows:
            fact = Fact(row["relation"], row["subject"], row["object"])
            if row["id"] in self.table:
                self.repeated.append(row["id"])
            self.table[row["id"]] = Entry(fact, row["status"], tuple(row["proof"]))
            if row["status"] == "asked":
                self.sentences[fact] = row["sentence"]
        self._fires = triggers(rules)
        self.stated = {entry.fact for entry in self.table.values() if entry.status == "stated"}
        self.entailed = self.consequences(self.stated)
        self.follows = lru_cache(_CACHE)(self._follows)

    def consequences(self, facts: Iterable[Fact]) -> Set[Fact]:
        """What follows from facts. A checker of another logic than Horn rules has its own."""
        return entailed(facts, self._fires)

    def _follows(self, ids: frozenset[str]) -> Set[Fact]:
        return self.consequences(self.table[one].fact for one in ids)

    def uses(self, ids: Sequence[str], facts: Sequence[Fact]) -> int:
        """How often the stated facts of a proof are used, all together: under Horn rules each once."""
        return len(ids)

    def unnamed(self, fact: Fact, text: str) -> Iterator[str]:
        """Which entities of a fact are not named in a text?"""
        whole = plain(text)
        yield from (end for end in fact[1:] if plain(end) not in whole)

    def is_stated(self, fact_id: str) -> bool:
        """Is there a stated fact of this id?"""
        return fact_id in self.table and self.table[fact_id].status == "stated"

    def id_faults(self) -> Iterator[str]:
        """Ids that are not unique or not made of the fact."""
        yield from (f"fact {one} is there twice" for one in self.repeated)
        for one, entry in self.table.items():
            if one != entry.fact.id:
                yield f"fact {one} should have the id {entry.fact.id} of {entry.fact}"

    def closure_faults(self) -> Iterator[str]:
        """Facts that the table lacks and facts that do not follow."""
        listed = {entry.fact for entry in self.table.values()}
        yield from (f"{fact} follows but is not in the table" for fact in sorted(self.entailed - listed))
        yield from (f"{fact} is in the table but does not follow" for fact in sorted(listed - self.entailed))

    def proof_faults(self) -> Iterator[str]:
        """Proofs that are not made of stated facts, or do not prove."""
        for one, entry in self.table.items():
            if not entry.proof or not all(map(self.is_stated, entry.proof)):
                yield f"the proof of {entry.fact} is not made of stated facts: {', '.join(entry.proof) or 'empty'}"
            elif entry.fact not in self.follows(frozenset(entry.proof)):
                yield f"the proof of {entry.fact} does not prove it: {', '.join(entry.proof)}"
            elif entry.status == "stated" and entry.proof != (one,):
                yield f"{entry.fact} is stated and so proves itself, but its proof is {', '.join(entry.proof)}"

    def status_faults(self, asked: set[Fact]) -> Iterator[str]:
        """Facts that are called asked although no test question asks for them, and statuses that do not exist."""
        for entry in self.table.values():
            if entry.status not in ("stated", "derived", "asked"):
                yield f"{entry.fact} has the status {entry.status!r}, not stated, derived or asked"
            elif entry.status == "asked" and entry.fact not in asked:
                yield f"{entry.fact} has the status 'asked', but no test question asks for it"
