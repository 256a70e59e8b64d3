"""report.md of a study, and several studies side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

from icl_bench.study.cells import write_text
from icl_bench.study.figures import draw_bars, draw_lines
from icl_bench.study.results import read_results
from icl_bench.study.settings import CONDITIONS, TRAINED
from icl_bench.study.statistics import DECIDED

REPORT = "report.md"
STATED = "rephrase"
"""The kind that asks for what is stated: whether the material was learned at all."""
Row = Mapping[str, Any]


def write_report(out: Path, results: Mapping[str, Any]) -> None:
    """Write report.md and the figures beside it."""
    rows, name = results["summary"], results["model"]["name"]
    lines = [f"# {name}", "", _legend(rows), ""]
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        lines += [f"## {dataset}", "", *_accuracies([results], dataset), "", *_unlearned(rows, dataset)]
        for figure in _figures(results, dataset, out, f"{dataset}: {Path(name).name}"):
            lines += [f"![{figure.stem}]({figure.name})", ""]
    lines += ["## What was read", "", *_read(results), "", "## Tests", "", *_tests(results["tests"]), "", "## Versions", ""]
    lines += [f"icl_bench {results['icl_bench']}; scored in {results['precision']}.", ""]
    for made in results["environments"]:
        versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items() if version)
        lines.append(f"* {len(made['cells'])} cells: {made['system']}, {made['machine']}, {_gpus(made['gpus'])}; {versions}.")
    seconds = sum(results["times"].values())
    lines += ["", f"{seconds:,.0f} seconds, without what was interrupted. Settings and hashes are in results.json."]
    write_text(out / REPORT, "\n".join(lines) + "\n")


def _figures(results: Mapping[str, Any], dataset: str, out: Path, title: str) -> Iterator[Path]:
    """Draw what there is of a dataset; yields the PNG files."""
    rows = [row for row in results["summary"] if row["dataset"] == dataset]
    yield draw_bars(rows, out, dataset, title)[0]
    chance = {row["kind"]: row["chance"] for row in rows}
    for over, part in (("documents", "over_documents"), ("hops", "by_hops"), ("steps", "over_steps")):
        lines = [
            {**row, "chance": row.get("chance", chance.get(row["kind"]))} for row in results[part] if row["dataset"] == dataset
        ]
        values: dict[str, set[Any]] = {}
        for row in lines:
            values.setdefault(row["kind"], set()).add(row[over])
        if lines := [row for row in lines if len(values[row["kind"]]) > 1]:
            yield draw_lines(lines, over, out, f"{dataset}_{over}", title)[0]


def side_by_side(folders: Sequence[Path]) -> str:
    """The accuracies of several studies as Markdown.

    Raises:
        IclBenchError: a folder without results.
    """
    studies = [read_results(folder) for folder in folders]
    names = [Path(study["model"]["name"]).name for study in studies]
    for study, name, folder in zip(studies, names, folders, strict=True):
        study["title"] = name if names.count(name) == 1 else f"{name} ({folder.name})"
    rows = [row for study in studies for row in study["summary"]]
    lines = [_legend(rows), "", *_differences(studies)]
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        there = [study for study in studies if any(row["dataset"] == dataset for row in study["summary"])]
        lines += ["", f"## {dataset}", "", *_accuracies(there, dataset, named=True)]
    return "\n".join(lines) + "\n"


def _legend(rows: Sequence[Row]) -> str:
    text = "Accuracy ± standard error over questions, in percent."
    if any(row["error_over_relations"] is not None for row in rows):
        text += " In square brackets: the same over relations, the subsets of an inference, each counted alike."
    if any(row["error_over_seeds"] is not None for row in rows):
        text += " In round brackets: the standard error over seeds, each another world and another training."
    if any(row["kind"].endswith(DECIDED) for row in rows):
        text += f" `{DECIDED}`: the same questions without the choices that are true but say less than the answer."
    return text


def _differences(studies: Sequence[Mapping[str, Any]]) -> list[str]:
    """The settings in which studies differ: one row a setting, one column a study."""
    flat = [dict(_flat({"icl_bench": study["icl_bench"], "seeds": study["seeds"], **study["settings"]})) for study in studies]
    names = dict.fromkeys(name for one in flat for name in one if name != "model")
    rows = [[name, *(str(one.get(name, "")) for one in flat)] for name in names]
    rows = [row for row in rows if len(set(row[1:])) > 1]
    if not rows:
        return ["The same settings."]
    return [*_header(["setting", *(study["title"] for study in studies)]), *map(_line, rows)]


def _flat(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _unlearned(rows: Sequence[Row], dataset: str) -> list[str]:
    """A warning for every trained condition that does not know what its documents state."""
    lines = []
    for row in rows:
        if (row["dataset"], row["kind"]) == (dataset, STATED) and row["condition"] in TRAINED:
            error = row["error_over_questions"] or 0.0
            if row["accuracy"] < row["chance"] + 2 * error:
                lines += [
                    f"**{row['condition']}: `{STATED}` is within two standard errors of chance: nothing was learned**, "
                    "so the other rows say nothing about what follows from them.",
                    "",
                ]
    return lines


def _accuracies(studies: Sequence[Mapping[str, Any]], dataset: str, named: bool = False) -> list[str]:
    """One row a kind of question, one column a condition, or a condition of each model."""
    rows = [row for study in studies for row in study["summary"] if row["dataset"] == dataset]
    columns = []
    for study in studies:
        there = {row["condition"] for row in study["summary"] if row["dataset"] == dataset}
        prefix = f"{study['title']}: " if named else ""
        for condition in (condition for condition in CONDITIONS if condition in there):
            cells = {row["kind"]: row for row in study["summary"] if (row["dataset"], row["condition"]) == (dataset, condition)}
            columns.append((f"{prefix}{condition.replace('_', ' ')}", cells))
    lines = _header(["question", "split", "questions", "chance", *(title for title, _ in columns)])
    for kind in dict.fromkeys(row["kind"] for row in rows):
        same = [row for row in rows if row["kind"] == kind]
        fixed = [
            kind,
            same[0]["split"],
            _span(f"{row['questions']}" for row in same),
            _span(_percent(row["chance"]) for row in same),
        ]
        lines.append(_line([*fixed, *(_accuracy(cells.get(kind)) for _, cells in columns)]))
    return lines


def _tests(rows: Sequence[Row]) -> list[str]:
    """For two conditions each, whether one answers the same questions better."""
    if not rows:
        return ["Two conditions are needed."]
    adjusted = "(p adjusted by Benjamini and Hochberg over all of these tests)"
    lines = [
        f"About these worlds and trainings: McNemar's exact test on the same questions {adjusted}. About others: "
        "Student's paired test over seeds; none with one seed, or if the difference is the same with all.",
        "",
    ]
    lines += _header(["dataset", "question", "from", "to", "difference", "gained", "lost", "p", "adjusted", "p over seeds"])
    for row in rows:
        difference = f"{100 * row['difference']:+.1f}{_error(row['error'])}"
        names = [row["dataset"], row["kind"], row["first"].replace("_", " "), row["second"].replace("_", " ")]
        ps = (row["p"], row["p_adjusted"], row["p_over_seeds"])
        lines.append(_line([*names, difference, row["gained"], row["lost"], *map(_p, ps)]))
    return lines


def _read(results: Mapping[str, Any]) -> list[str]:
    """For each cell what its model read: in its context, and in training."""
    batch = results["settings"]["training"]["batch_size"]
    titles = ["dataset", "condition", "seed", "documents in context", "tokens of these"]
    lines = _header([*titles, "examples", "steps", "passes", "tokens trained on", "last loss", f"{STATED} by steps"])
    for cell in results["cells"]:
        context = [f"{cell[name]:,.0f}" if cell["documents"] else "" for name in ("documents", "context_tokens")]
        trained = [""] * 6
        if cell["steps"]:
            passes = cell["steps"] / ceil(cell["examples"] / batch)  # the last batch of each holds what is left
            loss = f"{cell['losses'][-1]['loss']:.3f}" if cell["losses"] else ""
            course = ", ".join(f"{_percent(entry['accuracy'][STATED])} ({entry['step']})" for entry in cell["validation"])
            trained = [f"{cell['examples']:,}", f"{cell['steps']:,}", f"{passes:.1f}", f"{cell['tokens']:,}", loss, course]
        lines.append(_line([cell["dataset"], cell["condition"].replace("_", " "), cell["seed"], *context, *trained]))
    return lines


def _gpus(names: Sequence[str]) -> str:
    return ", ".join(names) or "no GPU"


def _accuracy(row: Row | None) -> str:
    if row is None:
        return ""
    relations, seeds = row["accuracy_over_relations"], row["error_over_seeds"]
    over_relations = "" if relations is None else f" [{_percent(relations)}{_error(row['error_over_relations'])}]"
    over_seeds = "" if seeds is None else f" ({_percent(seeds)})"
    return f"{_percent(row['accuracy'])}{_error(row['error_over_questions'])}{over_relations}{over_seeds}"


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _error(error: float | None) -> str:
    return "" if error is None else f" ± {100 * error:.1f}"


def _span(values: Iterable[str]) -> str:
    """What all rows have, or each that some have."""
    return ", ".join(dict.fromkeys(values))


def _header(titles: Sequence[str]) -> list[str]:
    return [_line(titles), "|---" * len(titles) + "|"]


def _line(cells: Iterable[Any]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
