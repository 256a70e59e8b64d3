"""Accuracies with standard errors, and tests between conditions on the same questions.

Over questions, the standard error is that of a mean of independent answers. Over seeds it is that of the mean of the
accuracies in each world, which also holds what worlds and trainings differ in. The test is McNemar's, exact: of the
questions that one condition answers rightly and the other wrongly, is either more frequent? Adjusted p-values are
Benjamini and Hochberg's, over all tests of a study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import mean, stdev
from typing import Any

from scipy.stats import binomtest, false_discovery_control

Answers = Mapping[tuple[str, str, int], Sequence[Mapping[str, Any]]]
"""(dataset, condition, seed) -> rows of `questions.parquet`."""


def standard_error(values: Sequence[float]) -> float | None:
    """Of the mean; None of fewer than two values."""
    return stdev(values) / len(values) ** 0.5 if len(values) > 1 else None


def summary(answers: Answers) -> list[dict[str, Any]]:
    """For each dataset, kind and condition: accuracy, its standard errors, and chance."""
    rows = []
    groups: dict[tuple[str, str, str, str], dict[int, list[Mapping[str, Any]]]] = {}
    for (dataset, condition, seed), questions in answers.items():
        for question in questions:
            key = (dataset, question["split"], question["kind"], condition)
            groups.setdefault(key, {}).setdefault(seed, []).append(question)
    for (dataset, split, kind, condition), seeds in groups.items():
        scores = [float(question["correct"]) for questions in seeds.values() for question in questions]
        by_seed = [mean(float(question["correct"]) for question in questions) for questions in seeds.values()]
        rows.append(
            {
                "dataset": dataset,
                "split": split,
                "kind": kind,
                "condition": condition,
                "questions": len(scores),
                "seeds": len(seeds),
                "accuracy": mean(scores),
                "error_over_questions": standard_error(scores),
                "error_over_seeds": standard_error(by_seed),
                "chance": mean(question["chance"] for questions in seeds.values() for question in questions),
            }
        )
    return rows


def paired_tests(answers: Answers) -> list[dict[str, Any]]:
    """For each dataset, kind and two conditions: both on the questions that both were asked."""
    right: dict[tuple[str, str], dict[str, dict[tuple[int, str], bool]]] = {}
    for (dataset, condition, seed), questions in answers.items():
        for question in questions:
            there = right.setdefault((dataset, question["kind"]), {}).setdefault(condition, {})
            there[seed, question["id"]] = question["correct"]
    rows: list[dict[str, Any]] = []
    for (dataset, kind), conditions in right.items():
        for first, second in combinations(conditions, 2):
            pairs = [(conditions[first][key], conditions[second][key]) for key in conditions[first] if key in conditions[second]]
            if not pairs:
                continue
            gained = sum(after and not before for before, after in pairs)
            lost = sum(before and not after for before, after in pairs)
            rows.append(
                {
                    "dataset": dataset,
                    "kind": kind,
                    "first": first,
                    "second": second,
                    "questions": len(pairs),
                    "difference": (gained - lost) / len(pairs),
                    "error": standard_error([float(after) - float(before) for before, after in pairs]),
                    "gained": gained,
                    "lost": lost,
                    "p": float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0,
                }
            )
    if rows:
        for row, adjusted in zip(rows, false_discovery_control([row["p"] for row in rows]), strict=True):
            row["p_adjusted"] = float(adjusted)
    return rows
