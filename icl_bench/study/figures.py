"""Accuracy by kind of question and condition: a figure for each dataset, as PNG and SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from icl_bench.study.settings import CONDITIONS

_COLOURS = {"pretrained": "#999999", "in_context": "#0072B2", "finetuned": "#E69F00", "augmented": "#009E73"}
"""Of Okabe and Ito: told apart by all eyes."""
_WIDTH = 0.8
"""Of the bars of one kind."""


def error_of(row: Mapping[str, Any]) -> float:
    """The standard error to show: over seeds if there are several, or else over questions."""
    over_seeds = row["error_over_seeds"]
    return float(over_seeds if over_seeds is not None else row["error_over_questions"] or 0.0)


def draw(rows: Sequence[Mapping[str, Any]], dataset: str, out: Path, title: str) -> list[Path]:
    """Draw the rows of a summary that are of this dataset.

    Returns:
        The files.
    """
    rows = [row for row in rows if row["dataset"] == dataset]
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    conditions = [condition for condition in CONDITIONS if any(row["condition"] == condition for row in rows)]
    figure = Figure(figsize=(2.2 + 1.7 * len(kinds), 3.6), layout="constrained")
    axes = figure.subplots()
    for i, condition in enumerate(conditions):
        of = {row["kind"]: row for row in rows if row["condition"] == condition}
        there = [place for place, kind in enumerate(kinds) if kind in of]
        shift = (i - (len(conditions) - 1) / 2) * _WIDTH / len(conditions)
        axes.bar(
            [place + shift for place in there],
            [100 * of[kinds[place]]["accuracy"] for place in there],
            _WIDTH / len(conditions),
            yerr=[100 * error_of(of[kinds[place]]) for place in there],
            label=condition.replace("_", " "),
            color=_COLOURS[condition],
            capsize=2,
        )
    for place, kind in enumerate(kinds):
        chance = 100 * next(row["chance"] for row in rows if row["kind"] == kind)
        axes.hlines(chance, place - 0.5, place + 0.5, colors="black", linestyles="dashed", label="_" if place else "chance")
    axes.set_xticks(range(len(kinds)), [kind.replace("_", "\n") for kind in kinds])
    axes.set_ylim(0, 105)
    axes.set_ylabel("accuracy, %")
    axes.set_title(title)
    figure.legend(loc="outside right upper", frameon=False)
    files = [out / f"{dataset}.{ending}" for ending in ("png", "svg")]
    with matplotlib.rc_context({"svg.hashsalt": dataset}):
        figure.savefig(files[0], dpi=150)
        figure.savefig(files[1], metadata={"Date": None})
    return files
