"""No shortcut: over a hundred seeds, learners that infer nothing are at chance on `test`, but where the card says why not."""

from collections import defaultdict
from math import sqrt

import pytest

from icl_bench import WORLDS, build
from icl_bench.audit_questions import Positions
from icl_bench.shallow import baselines, one_hop_apart

# (dataset, kind, learner) -> the accuracy that the card explains. All others must be at chance.
EXPLAINED = {
    ("syllogism", "syllogism", "longest"): (0.44, 0.48),
    ("syllogism", "syllogism", "shortest"): (0.34, 0.38),
    ("semantic_structure", "reversal", "same document"): (0.93, 1.0),
    ("semantic_structure", "reversal", "same sentence"): (0.98, 1.0),
    ("semantic_structure", "category_holdout (1 hop)", "same document"): (0.98, 1.0),
    ("semantic_structure", "category_holdout (1 hop)", "same sentence"): (0.98, 1.0),
    ("semantic_structure", "category_holdout", "same document"): (0.25, 0.31),
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
