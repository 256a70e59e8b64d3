"""No shortcut: over a hundred seeds, learners that infer nothing are at chance on `test`, but where the card says why not."""

import re
from collections import defaultdict
from math import sqrt

import pytest

from icl_bench import WORLDS, build
from icl_bench.audit_questions import Positions
from icl_bench.documents import plans, statements_of
from icl_bench.shallow import baselines, one_hop_apart

# (dataset, kind, learner) -> the accuracy that the card explains. All others must be at chance.
EXPLAINED = {
    ("syllogism", "syllogism", "longest"): (0.44, 0.48),
    ("syllogism", "syllogism", "shortest"): (0.34, 0.38),
    ("semantic_structure", "reversal", "same document"): (0.93, 1.0),
    ("semantic_structure", "reversal", "same sentence"): (0.98, 1.0),
    ("semantic_structure", "category_holdout (1 hop)", "same document"): (0.98, 1.0),
    ("semantic_structure", "category_holdout (1 hop)", "same sentence"): (0.98, 1.0),
    ("semantic_structure", "category_holdout", "same document"): (0.25, 0.33),
    ("semantic_structure", "category_holdout", "most frequent"): (0.26, 0.31),
    ("reversal_curse", "name_from_description", "same document"): (0.98, 1.0),
    ("reversal_curse", "name_from_description", "same sentence"): (0.98, 1.0),
    ("reversal_curse", "description_from_name", "same document"): (0.98, 1.0),
    ("reversal_curse", "description_from_name", "same sentence"): (0.98, 1.0),
    ("semantic_structure", "category_holdout (1 hop)", "most frequent"): (0.22, 0.25),
}


@pytest.mark.parametrize("name", WORLDS)
def test_shallow_learners_over_a_hundred_seeds(name):
    right, chance, variance = defaultdict(float), defaultdict(float), defaultdict(float)
    total, positions = defaultdict(int), Positions()
    for seed in range(100):
        dataset = build(name, seed)
        train = [row.model_dump() for row in dataset.rows("train")]
        test = [row.model_dump() for row in dataset.rows("test")]
        for row in test:
            positions.add(row)
        for result in baselines(train, one_hop_apart(test)):
            key = (name, result.kind, result.name)
            right[key] += result.accuracy * result.n
            chance[key] += result.chance * result.n
            variance[key] += (result.standard_error * result.n) ** 2
            total[key] += result.n
    assert all(z < 3 for z in positions.z().values()), positions.words()  # all positions at once, by chi-square
    for key in total:
        accuracy = right[key] / total[key]
        if key[2].startswith("position"):
            continue
        if key in EXPLAINED:
            low, high = EXPLAINED[key]
            assert low <= accuracy <= high, (key, accuracy)
        else:
            assert abs(right[key] - chance[key]) <= 3 * sqrt(variance[key]) + 1e-6, (key, accuracy, chance[key] / total[key])


def test_choosing_what_is_told_most_often_in_the_relation():
    """Exactly chance in groups; on category_holdout, where all that follows is asked, what the card says."""
    right, total = defaultdict(float), defaultdict(int)
    for seed in range(30):
        dataset = build("semantic_structure", seed)
        told = statements_of(dataset.world, plans(dataset.world))
        for row in dataset.rows("test"):
            claims = [re.fullmatch(r"(\w+)\(.*, (.*)\)", claim).groups() for claim in row.claims]
            most = max(told[claim] for claim in claims)
            best = {i for i, claim in enumerate(claims) if told[claim] == most}
            right[row.kind] += len(best.intersection(row.answer)) / len(best)
            total[row.kind] += 1
    for kind in ("reversal", "syllogism"):
        assert right[kind] / total[kind] == pytest.approx(0.25, abs=0.01)
    assert 0.27 < right["category_holdout"] / total["category_holdout"] < 0.35
