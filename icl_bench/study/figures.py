"""Accuracy as figures, PNG and SVG: bars by kind of question and condition; lines over documents, hops and steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from icl_bench.study.settings import CONDITIONS

Row = Mapping[str, Any]
_COLOURS = {
    "pretrained": "#999999",
    "in_context": "#0072B2",
    "oracle": "#56B4E9",
    "finetuned": "#E69F00",
    "augmented": "#009E73",
}
"""Of Okabe and Ito: told apart by all eyes."""
_WIDTH = 0.8
"""Of the bars of one kind."""


def _errors(rows: Sequence[Row]) -> str:
    """Which standard errors a figure shows: over seeds if all of its rows have several, or else over questions."""
    return "seeds" if all(row["error_over_seeds"] is not None for row in rows) else "questions"


def _bars(rows: Sequence[Row], over: str) -> list[float]:
    """Percent; no number where an error is not known, so that no bar is drawn."""
    errors = [row.get(f"error_over_{over}") for row in rows]
    return [nan if error is None else 100 * error for error in errors]


def draw_bars(rows: Sequence[Row], out: Path, name: str, title: str) -> list[Path]:
    """Draw the rows of a summary, all of one dataset.

    Returns:
        The files.
    """
    kinds, errors = list(dict.fromkeys(row["kind"] for row in rows)), _errors(rows)
    conditions = _conditions(rows)
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
            yerr=_bars([of[kinds[place]] for place in there], errors),
            label=condition.replace("_", " "),
            color=_COLOURS[condition],
            capsize=2,
        )
    for place, kind in enumerate(kinds):
        chance = 100 * next(row["chance"] for row in rows if row["kind"] == kind)
        axes.hlines(chance, place - 0.5, place + 0.5, colors="black", linestyles="dashed", label="_" if place else "chance")
    axes.set_xticks(range(len(kinds)), [kind.replace("_", "\n") for kind in kinds])
    return _save(figure, axes, out, name, title, errors)


def draw_lines(rows: Sequence[Row], over: str, out: Path, name: str, title: str) -> list[Path]:
    """Draw accuracy over a column, a panel for each kind of question and a line for each condition.

    Args:
        rows: of one dataset, with `kind`, `condition`, `accuracy`, its errors, and `chance` where it is known.
        over: the column of the horizontal axis: `documents` (on a logarithmic axis), `hops` or `steps`.

    Returns:
        The files.
    """
    kinds, errors = list(dict.fromkeys(row["kind"] for row in rows)), _errors(rows)
    figure = Figure(figsize=(1.8 + 2.4 * len(kinds), 3.2), layout="constrained")
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for panel, kind in zip(panels, kinds, strict=True):
        same = sorted((row for row in rows if row["kind"] == kind), key=lambda row: row[over])
        for condition in _conditions(same):
            points = [row for row in same if row["condition"] == condition]
            panel.errorbar(
                [row[over] for row in points],
                [100 * row["accuracy"] for row in points],
                _bars(points, errors),
                label=condition.replace("_", " "),
                color=_COLOURS[condition],
                marker="o",
                markersize=3,
                capsize=2,
            )
        chances = {row[over]: 100 * row["chance"] for row in same}
        panel.plot(list(chances), list(chances.values()), color="black", linestyle="dashed", label="chance")
        panel.set_title(kind.replace("_", " "), fontsize="medium")
        panel.set_xlabel(over)
        if over == "documents":
            panel.set_xscale("log")
            panel.minorticks_off()
        if over != "steps":
            panel.set_xticks(list(chances), [f"{value:g}" for value in chances])
    shown = errors if any(bar == bar for bar in _bars(rows, errors)) else None
    return _save(figure, panels[0], out, name, title, shown)


def _conditions(rows: Sequence[Row]) -> list[str]:
    return [condition for condition in CONDITIONS if any(row["condition"] == condition for row in rows)]


def _save(figure: Figure, axes: Any, out: Path, name: str, title: str, errors: str | None) -> list[Path]:
    """Name the axes, and write the same bytes every time."""
    axes.set_ylim(0, 105)
    axes.set_ylabel("accuracy, %" + (f"\n± standard error over {errors}" if errors else ""))
    figure.suptitle(title, fontsize="large")
    figure.legend(*zip(*_once(figure), strict=True), loc="outside right upper", frameon=False)
    files = [out / f"{name}.{ending}" for ending in ("png", "svg")]
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(files[0], dpi=150)
        figure.savefig(files[1], metadata={"Date": None})
    return files


def _once(figure: Figure) -> Iterator[tuple[Any, str]]:
    """Lines and bars with their names, those of the same name once."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    yield from ((handle, label) for label, handle in found.items())
