"""The closure against clingo and against exhaustive search."""

from itertools import combinations

import clingo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icl_bench.build import build
from icl_bench.closure import Closure
from icl_bench.schema import Fact, Rule


def clingo_closure(facts, rules):
    """All facts about two different entities that an answer-set solver derives."""
    quoted = [f'{f.relation}("{f.subject}", "{f.object}").' for f in facts]
    guarded = [f"{str(rule)[:-1]}, {rule.head.subject} != {rule.head.object}." for rule in rules]
    control = clingo.Control(["--warn=none"])
    control.add("base", [], "\n".join(quoted + guarded))
    control.ground([("base", [])])
    with control.solve(yield_=True) as handle:
        model = next(iter(handle))
        return {Fact(s.name, s.arguments[0].string, s.arguments[1].string) for s in model.symbols(atoms=True)}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", ["reversal", "syllogism", "semantic_structure", "reversal_curse"])
def test_whole_worlds_against_clingo(name, seed):
    dataset = build(name, seed)
    facts = [fact for bundle in dataset.world.bundles for fact in bundle.facts]
    expected = clingo_closure(facts, dataset.world.rules)
    assert set(Closure(facts, dataset.world.rules)) == expected
    assert {Fact(row.relation, row.subject, row.object) for row in dataset.rows("facts")} == expected


RULES = [
    "p(X, Z) :- p(X, Y), p(Y, Z).",
    "q(Y, X) :- p(X, Y).",
    "p(X, Z) :- q(X, Y), r(Z, Y).",
    "r(X, Z) :- p(Y, X), q(Y, Z).",
    "r(Y, X) :- r(X, Y).",
]
FACTS = st.lists(
    st.builds(Fact, st.sampled_from("pqr"), st.sampled_from("abcd"), st.sampled_from("abcd")).filter(lambda f: f[1] != f[2]),
    unique=True,
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(FACTS, st.sets(st.sampled_from(RULES)))
def test_random_rules_against_clingo(facts, texts):
    rules = [Rule.parse(text) for text in sorted(texts)]
    assert set(Closure(facts, rules)) == clingo_closure(facts, rules)


@settings(max_examples=60, deadline=None)
@given(FACTS, st.sets(st.sampled_from(RULES), min_size=1))
def test_proofs_hold_and_are_minimal_on_trees(facts, texts):
    rules = [Rule.parse(text) for text in sorted(texts)]
    closure = Closure(facts, rules)
    for fact in closure:
        proof = closure.proof(fact)
        assert set(proof) <= set(facts)
        assert fact in Closure(proof, rules)
        assert len(proof) <= closure.hops(fact)
        assert closure.stated(fact) == (fact in facts)
        if len(proof) <= 2:  # no smaller set of stated facts proves it
            assert not any(fact in Closure(subset, rules) for size in range(len(proof)) for subset in combinations(facts, size))


@pytest.mark.parametrize("name", ["reversal", "syllogism", "semantic_structure", "reversal_curse"])
def test_hops_are_the_length_of_the_proof(name):
    world = build(name, 5).world
    closure = Closure([fact for bundle in world.bundles for fact in bundle.facts], world.rules)
    assert all(closure.hops(fact) == len(closure.proof(fact)) for fact in closure)


def test_an_example_by_hand():
    rules = [Rule.parse("is_a(X, Z) :- is_a(X, Y), is_a(Y, Z)."), Rule.parse("is(X, Z) :- is_a(X, Y), is(Y, Z).")]
    facts = [Fact("is_a", "a", "b"), Fact("is_a", "b", "c"), Fact("is", "c", "red"), Fact("is_a", "a", "c")]
    closure = Closure(facts, rules)
    assert [str(fact) for fact in closure.proof(Fact("is", "a", "red"))] == ["is_a(a, c)", "is(c, red)"]
    assert Fact("is", "b", "red") in closure
    assert Fact("is_a", "c", "a") not in closure
    with pytest.raises(KeyError):
        closure.hops(Fact("is_a", "c", "a"))
