"""The reversal world: its balance, its wordings, its knobs."""

from collections import Counter
from itertools import pairwise

import pytest

from icl_bench.build import build
from icl_bench.errors import IclBenchError
from icl_bench.schema import Fact
from icl_bench.worlds.reversal import FEATURES


def test_the_paper_sizes():
    dataset = build("reversal", 0)
    rows = {split: list(dataset.rows(split)) for split in ("train", "validation", "test", "facts")}
    assert {split: len(found) for split, found in rows.items()} == {
        "train": 1000,
        "validation": 100,
        "test": 100,
        "facts": 200,
    }
    assert len(FEATURES) == 28
    assert dataset.covered == 100


@pytest.mark.parametrize("seed", range(10))
def test_half_of_the_facts_are_stated_with_each_wording_within_every_feature(seed):
    world = build("reversal", seed).world
    stated = Counter(bundle.facts[0].relation for bundle in world.bundles)
    for feature in FEATURES:
        assert stated[f"more_{feature}"] == stated[f"less_{feature}"] in (1, 2)


def test_the_order_of_documents_says_next_to_nothing():
    """How often the next document has the other wording; and the next on the same feature, where first tellings count."""
    right, total, right_of_feature, total_of_feature = 0, 0, 0, 0
    for seed in range(40):
        dataset = build("reversal", seed)
        stated = {bundle.facts[0].id: bundle.facts[0].relation.split("_") for bundle in dataset.world.bundles}
        told = [stated[row.facts[0]] for row in dataset.rows("train")]
        right += sum(a[0] != b[0] for a, b in pairwise(told))
        total += len(told) - 1
        for feature in FEATURES:
            own = [degree for degree, of in told if of == feature]
            right_of_feature += sum(a != b for a, b in pairwise(own))
            total_of_feature += len(own) - 1
    assert abs(right / total - 0.5) < 0.02
    assert right_of_feature / total_of_feature < 0.57


def test_every_fact_has_ten_different_documents_and_an_unseen_wording_in_validation():
    dataset = build("reversal", 4)
    texts = {}
    for row in dataset.rows("train"):
        texts.setdefault(row.facts, []).append(row.text)
    assert {len(set(told)) for told in texts.values()} == {10}
    known = {text for told in texts.values() for text in told}
    for row in dataset.rows("validation"):
        assert row.kind == "rephrase"
        assert row.text not in known


def test_exact_texts():
    names = {"subject": "femp", "object": "glon"}
    from icl_bench.rendering import sentence, wordings

    world = build("reversal", 0, {"facts": 2}).world
    assert sentence(world, Fact("more_dangerous", "femp", "glon")) == "Femp are more dangerous than glon."
    assert sentence(world, Fact("less_bright", "femp", "glon")) == "Femp are less bright than glon."
    first = wordings("reversal", "documents")[0][0]
    assert first.fill({"statement_1": "femp are brighter than glon"}) == "Did you know that femp are brighter than glon."
    prompt, choice = wordings("reversal", "questions/reversal")[0]
    assert prompt.fill(names) == "femp are"
    assert choice.fill({"relation": "less dangerous", "object": "femp"}) == "less dangerous than femp."


def test_the_question_turns_the_fact_around():
    dataset = build("reversal", 2, {"facts": 6})
    for bundle, row in zip(dataset.world.bundles, dataset.rows("test"), strict=True):
        stated = bundle.facts[0]
        gold = row.claims[row.answer[0]]
        degree, feature = stated.relation.split("_")
        other = {"more": "less", "less": "more"}[degree]
        assert gold == f"{other}_{feature}({stated.object}, {stated.subject})"
        assert set(row.claims) == {gold, f"{stated.relation}({stated.object}, {stated.subject})"}
        assert row.facts == (stated.id,)


@pytest.mark.parametrize(("share", "reversed_too"), [(0.0, 0), (0.4, 8), (1.0, 20)])
def test_reverse_fraction_states_facts_both_ways_and_leaves_them_out_of_the_test(share, reversed_too):
    dataset = build("reversal", 1, {"facts": 20, "reverse_fraction": share})
    both = [bundle for bundle in dataset.world.bundles if len(bundle.facts) == 2]
    assert len(both) == reversed_too
    assert sum(1 for _ in dataset.rows("test")) == 20 - reversed_too
    assert sum(1 for _ in dataset.rows("train")) == 10 * (20 + reversed_too)
    stated = {fact.id for bundle in both for fact in bundle.facts}
    asked = {row.claims[row.answer[0]] for row in dataset.rows("test")}
    assert not {str(fact) for bundle in both for fact in bundle.facts} & asked
    assert stated <= {name for row in dataset.rows("train") for name in row.facts}


def test_more_documents_than_wordings():
    with pytest.raises(IclBenchError, match="41 documents for each fact, but there are 40 wordings; ask for 40 or fewer"):
        build("reversal", 0, {"facts": 2, "documents_per_fact": 41})


def test_adding_a_fact_moves_no_other():
    few = {row.id for row in build("reversal", 3, {"facts": 50}).rows("test")}
    many = {row.id for row in build("reversal", 3, {"facts": 51}).rows("test")}
    assert few < many
