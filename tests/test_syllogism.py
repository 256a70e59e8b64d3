"""Syllogisms against the enumeration of all models: 36 forms, 256 ways to fill the regions of three terms."""

from collections import Counter
from itertools import product

import pytest

from icl_bench.build import build
from icl_bench.closure import Closure
from icl_bench.worlds.syllogism import FIGURES, FORMS, QUANTIFIERS, RULES, premises, six_statements

ALL_FORMS = [f"{a}-{b}-{figure}" for a, b in product(QUANTIFIERS, repeat=2) for figure in FIGURES]
REGIONS = list(product((False, True), repeat=3))  # in S?, in M?, in P?
MODELS = []
for mask in range(256):
    inhabited = [region for i, region in enumerate(REGIONS) if mask >> i & 1]
    if all(any(region[term] for region in inhabited) for term in range(3)):  # no term is empty
        MODELS.append(inhabited)


def holds(fact, model):
    one, other = ("SMP".index(term) for term in (fact.subject, fact.object))
    both = any(region[one] and region[other] for region in model)
    if fact.relation == "all":
        return all(region[other] for region in model if region[one])
    return both if fact.relation == "some" else not both


def entailed(facts):
    """The statements about the end terms that are true in every model of the premises."""
    models = [model for model in MODELS if all(holds(fact, model) for fact in facts)]
    assert models
    return {claim for claim in six_statements("S", "P") if all(holds(claim, model) for model in models)}


@pytest.mark.parametrize("form", ALL_FORMS)
def test_the_closure_draws_exactly_the_valid_conclusions(form):
    facts = premises(form, "S", "M", "P")
    closure = Closure(facts, RULES)
    assert {claim for claim in six_statements("S", "P") if claim in closure} == entailed(facts)


@pytest.mark.parametrize("form", ALL_FORMS)
def test_the_closure_is_right_about_pairs_with_the_middle_term(form):
    facts = premises(form, "S", "M", "P")
    closure = Closure(facts, RULES)
    models = [model for model in MODELS if all(holds(fact, model) for fact in facts)]
    for pair in ("SM", "MP"):
        for claim in six_statements(*pair):
            assert (claim in closure) == all(holds(claim, model) for model in models), claim


def test_the_forms_with_a_conclusion():
    assert set(FORMS) == {form for form in ALL_FORMS if entailed(premises(form, "S", "M", "P"))}
    assert len(FORMS) == 11


def test_figures_are_the_traditional_ones():
    barbara = premises("all-all-1", "S", "M", "P")
    assert [str(fact) for fact in barbara] == ["all(M, P)", "all(S, M)"]
    cesare = premises("no-all-2", "S", "M", "P")
    assert [str(fact) for fact in cesare] == ["no(P, M)", "all(S, M)"]


@pytest.mark.parametrize("seed", range(20))
def test_gold_and_weaker_conclusions(seed):
    for row in build("syllogism", seed).rows("test"):
        right = {row.claims[i].split("(")[0] for i in row.answer}
        weaker = {row.claims[i].split("(")[0] for i in row.weaker}
        if right == {"all"}:
            assert (len(row.answer), weaker, len(row.weaker)) == (1, {"some"}, 2)
        else:
            assert right in ({"some"}, {"no"})
            assert (len(row.answer), row.weaker) == (2, ())
        assert row.hops == 2


def test_forms_take_turns_and_orders_vary():
    dataset = build("syllogism", 3, {"syllogisms": 330})
    rows = list(dataset.rows("test"))
    assert Counter(row.relation for row in rows) == dict.fromkeys(FORMS, 30)
    place_of_middle = Counter()
    predicate_premise_first = Counter()
    documents = {row.facts: row for row in dataset.rows("train")}
    for bundle in dataset.world.bundles:
        document = documents[tuple(fact.id for fact in bundle.facts)]
        middle = (set(bundle.facts[0][1:]) & set(bundle.facts[1][1:])).pop()
        place_of_middle[bundle.terms.index(middle)] += 1
        major, minor, _ = bundle.label.split("-")
        if major != minor:
            predicate_premise_first[bundle.facts[0].relation == major] += 1
        positions = [document.text.index(term) for term in bundle.terms]
        assert positions == sorted(positions)
    assert min(place_of_middle[place] for place in range(3)) > 80
    assert min(predicate_premise_first[first] for first in (True, False)) > 70
    # the end terms are asked in both orders: the subject of the stored claim comes first about half the time
    subject_first = [row.question.index(subject_of(row)) < row.question.index(object_of(row)) for row in rows]
    assert 120 < sum(subject_first) < 210


def subject_of(row):
    return row.claims[row.answer[0]].split("(")[1].split(",")[0]


def object_of(row):
    return row.claims[row.answer[0]].split(", ")[1].rstrip(")")
