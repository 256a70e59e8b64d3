"""Accuracies with standard errors, and tests between conditions on the same questions.

Over questions, the standard error is that of a mean of independent answers. Over relations, the accuracy is the mean of those
in each subset of the inference, such as each form of syllogism, however many questions it has, and the error is that of this
mean, as are the error bars of the study of 2025: with each seed, then of their mean over seeds (none where subsets hold fewer
than two questions each, on the average). Over seeds, the error is that of the mean of the accuracies in each world, which
also holds what worlds and trainings differ in.

Tests between two conditions are McNemar's, exact (of the questions that one answers rightly and the other wrongly, is either
more frequent?), which says something about these worlds and trainings alone; and with several seeds Student's paired one of
the accuracies in each world, which says something about others. Adjusted p-values are Benjamini and Hochberg's, over all of
McNemar's tests of a study.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from math import hypot
from statistics import mean
from typing import Any

from scipy.stats import binomtest, false_discovery_control, sem, ttest_rel

Question = Mapping[str, Any]
"""A row of `questions.parquet`."""
Answers = Mapping[tuple[str, str, int], Sequence[Question]]
"""(dataset, condition, seed) -> all its questions."""
DECIDED = "_decided"
"""Ends the name of a kind whose questions are scored without weaker conclusions."""


def with_decided(questions: Sequence[Question]) -> list[Question]:
    """All questions, and those that have weaker conclusions once more without them, as a kind of their own."""
    again = [
        {**row, "kind": row["kind"] + DECIDED, "correct": row["correct_decided"], "chance": row["chance_decided"]}
        for row in questions
        if row["correct_decided"] is not None
    ]
    return [*questions, *again]


def standard_error(values: Sequence[float]) -> float | None:
    """Of the mean; None of fewer than two values."""
    return float(sem(values)) if len(values) > 1 else None


def summary(answers: Answers) -> list[dict[str, Any]]:
    """For each dataset, kind and condition: accuracy, its standard errors, and chance."""
    return list(_rows(answers, ("dataset", "split", "kind", "condition")))


def by(field: str, answers: Answers) -> list[dict[str, Any]]:
    """The same for each value of a column: `relation` or `hops`, least first."""
    group = ("dataset", "split", "kind", "condition")
    rows = list(_rows(answers, (*group, field)))
    order = {key: place for place, key in enumerate(dict.fromkeys(tuple(row[name] for name in group) for row in rows))}
    return sorted(rows, key=lambda row: (order[tuple(row[name] for name in group)], row[field]))


def over_documents(contexts: Iterable[tuple[str, int, float, Sequence[Question]]]) -> list[dict[str, Any]]:
    """The same for each number of documents in context.

    Args:
        contexts: dataset, seed, documents, questions.
    """
    rows: list[dict[str, Any]] = []
    numbers: dict[float, dict[tuple[str, str, int], Sequence[Question]]] = {}
    for dataset, seed, documents, questions in contexts:
        numbers.setdefault(documents, {})[dataset, "in_context", seed] = questions
    for documents, answers in sorted(numbers.items()):
        rows.extend({**row, "documents": documents} for row in summary(answers))
    return rows


def over_steps(courses: Iterable[tuple[str, str, Sequence[Mapping[str, Any]]]]) -> list[dict[str, Any]]:
    """Accuracy during training, for each dataset, condition, kind and step.

    Args:
        courses: dataset, condition, and what was measured in one training: step, and for each kind the accuracy.
    """
    groups: dict[tuple[str, str, str, int], list[float]] = {}
    for dataset, condition, course in courses:
        for entry in course:
            for kind, accuracy in entry["accuracy"].items():
                groups.setdefault((dataset, kind, condition, entry["step"]), []).append(accuracy)
    return [
        {
            **dict(zip(("dataset", "kind", "condition", "steps"), key, strict=True)),
            "seeds": len(values),
            "accuracy": mean(values),
            "error_over_seeds": standard_error(values),
        }
        for key, values in groups.items()
    ]


def _rows(answers: Answers, fields: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Accuracy, errors and chance for each group of questions that have some fields in common."""
    groups: dict[tuple[Any, ...], list[Question]] = {}
    for (dataset, condition, seed), questions in answers.items():
        for question in questions:
            known = {**question, "dataset": dataset, "condition": condition, "seed": seed}
            groups.setdefault(tuple(known[field] for field in fields), []).append(known)
    for key, questions in groups.items():
        scores = [float(question["correct"]) for question in questions]
        seeds = _groups(questions, "seed")
        over_relations, error_over_relations = _over_relations(seeds)
        yield {
            **dict(zip(fields, key, strict=True)),
            "questions": len(scores),
            "seeds": len(seeds),
            "accuracy": mean(scores),
            "error_over_questions": standard_error(scores),
            "accuracy_over_relations": over_relations,
            "error_over_relations": error_over_relations,
            "error_over_seeds": standard_error(list(map(_accuracy, seeds))),
            "chance": mean(question["chance"] for question in questions),
        }


def _over_relations(seeds: Sequence[Sequence[Question]]) -> tuple[float | None, float | None]:
    """The mean of the accuracies at each relation, and its error."""
    each = [_groups(questions, "relation") for questions in seeds]
    if any(len(relations) < 2 or 2 * len(relations) > sum(map(len, relations)) for relations in each):
        return None, None
    errors = [float(sem([_accuracy(relation) for relation in relations])) for relations in each]
    return mean(mean(map(_accuracy, relations)) for relations in each), hypot(*errors) / len(errors)


def _groups(questions: Sequence[Question], field: str) -> list[list[Question]]:
    """The questions for each value of a field."""
    groups: dict[Any, list[Question]] = {}
    for question in questions:
        groups.setdefault(question[field], []).append(question)
    return list(groups.values())


def _accuracy(questions: Sequence[Question]) -> float:
    return mean(float(question["correct"]) for question in questions)


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
            both = [key for key in conditions[first] if key in conditions[second]]
            if not both:
                continue
            differences = {key: conditions[second][key] - conditions[first][key] for key in both}
            gained, lost = (sum(value == sign for value in differences.values()) for sign in (1, -1))
            rows.append(
                {
                    "dataset": dataset,
                    "kind": kind,
                    "first": first,
                    "second": second,
                    "questions": len(both),
                    "difference": (gained - lost) / len(both),
                    "error": standard_error(list(differences.values())),
                    "gained": gained,
                    "lost": lost,
                    "p": float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0,
                    "p_over_seeds": _over_seeds(conditions[first], conditions[second], both),
                }
            )
    if rows:
        for row, adjusted in zip(rows, false_discovery_control([row["p"] for row in rows]), strict=True):
            row["p_adjusted"] = float(adjusted)
    return rows


def _over_seeds(
    first: Mapping[tuple[int, str], bool], second: Mapping[tuple[int, str], bool], both: Sequence[tuple[int, str]]
) -> float | None:
    """The p-value of Student's paired test of the accuracies with each seed; None if there is one seed, or no variance."""
    seeds = sorted({seed for seed, _ in both})
    pairs = [[mean(float(side[key]) for key in both if key[0] == seed) for side in (first, second)] for seed in seeds]
    if len(seeds) < 2 or len({round(after - before, 12) for before, after in pairs}) == 1:
        return None
    return float(ttest_rel(*zip(*pairs, strict=True)).pvalue)
