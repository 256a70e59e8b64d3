"""Everything that follows from stated facts, each with a shortest proof.

>>> rules = [Rule.parse("is_a(X, Z) :- is_a(X, Y), is_a(Y, Z).")]
>>> closure = Closure([Fact("is_a", "a", "b"), Fact("is_a", "b", "c")], rules)
>>> [str(fact) for fact in closure.proof(Fact("is_a", "a", "c"))]
['is_a(a, b)', 'is_a(b, c)']

Facts are derived in the order of the number of stated facts that they rest on (Knuth's generalization of Dijkstra's
algorithm, 1977), so that the first derivation found is a shortest one. Time is proportional to the rule instances that
fire. A fact relates two different entities: what a rule says of an entity and itself is dropped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from icl_bench.schema import Derivation, Fact, Rule


class _Join(NamedTuple):
    """What to do with a new fact: find a partner that shares an entity with it, and conclude."""

    partner: str
    """relation of the partner; '' for a rule of one premise, whose partner is the fact itself"""
    key: int
    """index (1 subject, 2 object) of the shared entity in the new fact"""
    partner_key: int
    """and in the partner"""
    head: str
    subject: int
    """where the head's subject stands in (new fact + partner)"""
    object: int
    first: bool
    """is the new fact the first premise of the rule?"""


def _join(rule: Rule, position: int) -> _Join:
    new, partner = rule.body[position], rule.body[1 - position] if len(rule.body) == 2 else None
    shared = next((v for v in new[1:] if partner and v in partner[1:]), None)
    both = [*new, *(partner or new)]
    return _Join(
        partner=partner.relation if partner else "",
        key=new.index(shared, 1) if shared else 0,
        partner_key=partner.index(shared, 1) if partner and shared else 0,
        head=rule.head.relation,
        subject=both.index(rule.head.subject),
        object=both.index(rule.head.object),
        first=position == 0,
    )


@lru_cache(maxsize=64)
def _compiled(rules: tuple[Rule, ...]) -> dict[str, list[_Join]]:
    joins = defaultdict(list)
    for rule in rules:
        for position, premise in enumerate(rule.body):
            joins[premise.relation].append(_join(rule, position))
    return dict(joins)


class Closure:
    """The facts that `facts` entail under `rules`: a container of facts in the order of their derivation.

    Derivations come last: each adds its fact if its premises are there. No rule is applied to what they add.
    """

    def __init__(self, facts: Iterable[Fact], rules: Iterable[Rule], derivations: Iterable[Derivation] = ()) -> None:
        joins = _compiled(tuple(rules))
        self._derived: dict[Fact, tuple[int, tuple[Fact, ...]]] = {}
        """fact -> number of stated facts it rests on, premises of its last step (none for a stated fact)"""
        derived = self._derived
        known: dict[tuple[str, int, str], list[Fact]] = defaultdict(list)
        agenda: dict[int, list[tuple[Fact, tuple[Fact, ...]]]] = {1: [(fact, ()) for fact in facts]}
        while agenda:
            cost = min(agenda)
            for fact, premises in agenda[cost]:  # grows while it is walked: one-premise rules add no cost
                if fact in derived:
                    continue
                derived[fact] = (cost, premises)
                known[fact[0], 1, fact[1]].append(fact)
                known[fact[0], 2, fact[2]].append(fact)
                for relation, key, partner_key, head, subject, object_, first in joins.get(fact[0], ()):
                    partners = known.get((relation, partner_key, fact[key]), ()) if relation else (fact,)
                    for partner in partners:
                        both = fact + partner
                        conclusion = (head, both[subject], both[object_])
                        if conclusion[1] == conclusion[2] or conclusion in derived:
                            continue
                        if not relation:
                            agenda[cost].append((Fact(*conclusion), (fact,)))
                            continue
                        order = (fact, partner) if first else (partner, fact)
                        agenda.setdefault(cost + derived[partner][0], []).append((Fact(*conclusion), order))
            del agenda[cost]
        for fact, premises, hops in derivations:
            if fact not in derived and all(premise in derived for premise in premises):
                derived[fact] = (hops, premises)

    def __contains__(self, fact: Fact) -> bool:
        return fact in self._derived

    def __iter__(self) -> Iterator[Fact]:
        return iter(self._derived)

    def __len__(self) -> int:
        return len(self._derived)

    def stated(self, fact: Fact) -> bool:
        """Is it one of the facts that the closure was made from?"""
        return fact in self._derived and not self._derived[fact][1]

    def hops(self, fact: Fact) -> int:
        """The number of stated facts in its shortest proof, each counted as often as it is used.

        Raises:
            KeyError: the fact is not entailed.
        """
        return self._derived[fact][0]

    def proof(self, fact: Fact) -> list[Fact]:
        """The stated facts of its shortest proof, each once, in the order of the premises.

        Raises:
            KeyError: the fact is not entailed.
        """
        leaves: dict[Fact, None] = {}
        pending = [fact]
        while pending:
            current = pending.pop()
            premises = self._derived[current][1]
            if premises:
                pending.extend(reversed(premises))
            else:
                leaves[current] = None
        return list(leaves)
