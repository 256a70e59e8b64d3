"""False choices for questions about a whole world, fair to the gold.

Questions of one relation form *groups that share their choices*: the golds of four questions, each the answer of exactly one
of the four and false of the others. A distractor is then true of another entity in the same relation, and no rule that
looks at the choices alone (length, frequency, a favourite word) can beat chance: it is right once in four. Questions
that fit no group have distractors of their own, drawn from the objects just below and just above the gold in frequency.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from icl_bench.closure import Closure
from icl_bench.schema import Fact, World
from icl_bench.streams import stream

_PATIENCE = 200  # golds that are tried for a group before its first fact is given up


class _Ring:
    """Words in an order, of which some are gone."""

    def __init__(self, words: Sequence[str]) -> None:
        self._before: dict[str, str | None] = dict(zip(words, [None, *words], strict=False))
        self._after: dict[str, str | None] = dict(zip(words, [*words[1:], None], strict=True))

    def remove(self, word: str) -> None:
        before, after = self._before.pop(word), self._after.pop(word)
        if before is not None:
            self._after[before] = after
        if after is not None:
            self._before[after] = before

    def around(self, word: str, frequency: Mapping[str, int]) -> Iterator[str]:
        """The other words, those that are nearest in frequency first."""
        before, after = self._before[word], self._after[word]
        while before is not None or after is not None:
            down = frequency[word] - frequency[before] if before is not None else None
            up = frequency[after] - frequency[word] if after is not None else None
            if before is not None and (up is None or (down is not None and down <= up)):
                yield before
                before = self._before[before]
            elif after is not None:
                yield after
                after = self._after[after]


class Distractors:
    """What may stand beside a gold answer.

    Args:
        frequency: how often the training text tells (relation, entity) with the entity as object.
    """

    def __init__(self, world: World, closure: Closure, frequency: Mapping[tuple[str, str], int]) -> None:
        self._world, self._frequency = world, frequency
        objects: dict[str, set[str]] = defaultdict(set)
        related: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._objects_of: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._known: dict[tuple[str, str], set[str]] = {}
        for relation, subject, object_ in closure:
            objects[relation].add(object_)
            self._objects_of[relation, subject].add(object_)
            related[relation, subject].add(object_)
            related[relation, object_].add(subject)
        self._objects = {name: self._by_frequency(name, found) for name, found in objects.items()}
        self._related = related
        """(relation, entity) -> the entities that it is related to, in either direction"""
        self._together: dict[str, set[str]] = defaultdict(set)
        """entity -> the entities that a bundle names with it, so that documents do"""
        for bundle in world.bundles:
            named = {entity for fact in bundle.facts for entity in fact[1:]}
            for entity in named:
                self._together[entity] |= named

    def _true_of(self, relation: str, subject: str) -> set[str]:
        """The entities that the subject, or a kind of it, is related to, and what these are kinds of."""
        found = self._known.get((relation, subject))
        if found is None:
            is_a, includes = self._world.kind_of
            found = set(self._related[relation, subject])
            for kind in self._objects_of[includes, subject]:
                found |= self._objects_of[relation, kind]
            for entity in list(found):
                found |= self._objects_of[is_a, entity]
            self._known[relation, subject] = found
        return found

    def _by_frequency(self, relation: str, words: Iterable[str]) -> list[str]:
        return sorted(words, key=lambda word: (self._frequency[relation, word], word))

    def may_replace(self, gold: Fact, other: str) -> bool:
        """May the object of a gold give way to another?

        Not where the claim is entailed, or would be with subject and object swapped, or with a kind of either in its place
        ("birds" is no false answer to what can fly if some birds can). And where documents do not tell the
        gold's object together with its subject, they may not tell the other's either: it would stand out.
        """
        relation, subject, object_ = gold
        if other == subject or other in self._true_of(relation, subject):
            return False
        together = self._together[subject]
        return other not in together or object_ in together

    def groups(self, facts: Sequence[Fact], size: int) -> Iterator[list[Fact]]:
        """Groups of facts of one relation in which every object is false of every other subject. What fits none is left.

        A group begins with a gold that is left most often, since that is the hardest to place, and goes on with the golds that
        are nearest to it in frequency.
        """
        left: dict[str, list[Fact]] = defaultdict(list)
        for fact in facts:
            left[fact.object].append(fact)
        relation = facts[0].relation if facts else ""
        frequency = {word: self._frequency[relation, word] for word in left}
        neighbours = _Ring(self._by_frequency(relation, left))
        most = [(-len(found), i, word) for i, (word, found) in enumerate(left.items())]
        heapq.heapify(most)
        while most:
            times, i, word = heapq.heappop(most)
            if -times != len(left[word]):
                if left[word]:
                    heapq.heappush(most, (-len(left[word]), i, word))
                continue
            group = left[word][:1]
            for other in islice(neighbours.around(word, frequency), _PATIENCE):
                group.extend(islice((fact for fact in left[other] if self._fits(fact, group)), 1))
                if len(group) == size:
                    yield group
                    break
            for fact in group if len(group) == size else group[:1]:
                left[fact.object].remove(fact)
                if not left[fact.object]:
                    neighbours.remove(fact.object)
            if left[word]:
                heapq.heappush(most, (-len(left[word]), i, word))

    def _fits(self, fact: Fact, group: Iterable[Fact]) -> bool:
        return all(
            fact.subject != other.subject and self.may_replace(fact, other.object) and self.may_replace(other, fact.object)
            for other in group
        )

    def near(self, fact: Fact, count: int, both_sides: bool) -> list[str] | None:
        """Objects for a question of its own.

        Args:
            count: how many.
            both_sides: True asks for enough rarer and enough commoner objects, so that the gold's place among the choices,
                in the order of frequency, can be drawn uniformly; False makes do with what there is.

        Returns:
            The objects, or None if there are too few.
        """
        objects = self._objects[fact.relation]
        place = objects.index(fact.object)

        def nearest(words: Iterable[str]) -> list[str]:
            return list(islice((word for word in words if self.may_replace(fact, word)), 2 * count))

        rarer, commoner = nearest(reversed(objects[:place])), nearest(objects[place + 1 :])
        if len(rarer) + len(commoner) < count or (both_sides and min(len(rarer), len(commoner)) < count):
            return None
        draws = stream(self._world.seed, self._world.name, "distractors", *fact)
        below = min(max(draws.below(count + 1), count - len(commoner)), len(rarer))
        return draws.sample(rarer, below) + draws.sample(commoner, count - below)
