"""report.md of a study, and several studies side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from icl_bench.study.cells import write_text
from icl_bench.study.figures import draw
from icl_bench.study.results import read_results
from icl_bench.study.settings import CONDITIONS

REPORT = "report.md"
Row = Mapping[str, Any]


def write_report(out: Path, results: Mapping[str, Any]) -> None:
    """Write report.md and the figures beside it."""
    rows, name = results["summary"], results["model"]["name"]
    lines = [f"# {name}", "", _legend(rows), ""]
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        draw(rows, dataset, out, f"{dataset}: {Path(name).name}")
        lines += [f"## {dataset}", "", *_accuracies([results], dataset), "", f"![{dataset}]({dataset}.png)", ""]
        lines += [*_tests(results["tests"], dataset), ""]
    lines += ["## Training", "", *_training(results["cells"]), "", "## Versions", ""]
    hardware = results["hardware"]
    lines.append(f"icl_bench {results['icl_bench']}, " + ", ".join(f"{k} {v}" for k, v in results["versions"].items() if v) + ".")
    lines.append(f"{hardware['system']}, {hardware['machine']}, {', '.join(hardware['gpus']) or 'no GPU'}.")
    lines.append(f"{sum(results['times'].values()):,.0f} seconds in all. Settings and hashes are in results.json.")
    write_text(out / REPORT, "\n".join(lines) + "\n")


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
    lines = [_legend(rows)]
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        there = [study for study in studies if any(row["dataset"] == dataset for row in study["summary"])]
        lines += ["", f"## {dataset}", "", *_accuracies(there, dataset)]
    return "\n".join(lines) + "\n"


def _legend(rows: Sequence[Row]) -> str:
    text = "Accuracy ± standard error over questions, in percent."
    if any(row["error_over_seeds"] is not None for row in rows):
        text += " In brackets: the standard error over seeds, each another world and another training."
    return text


def _accuracies(studies: Sequence[Mapping[str, Any]], dataset: str) -> list[str]:
    """One row a kind of question, one column a condition, or a condition of each model."""
    rows = [row for study in studies for row in study["summary"] if row["dataset"] == dataset]
    columns = []
    for study in studies:
        there = {row["condition"] for row in study["summary"] if row["dataset"] == dataset}
        prefix = f"{study['title']}: " if len(studies) > 1 else ""
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


def _tests(tests: Sequence[Row], dataset: str) -> list[str]:
    rows = [row for row in tests if row["dataset"] == dataset]
    if not rows:
        return []
    lines = ["McNemar's exact test on the same questions (p adjusted by Benjamini and Hochberg):", ""]
    lines += _header(["question", "from", "to", "difference", "gained", "lost", "p", "adjusted"])
    for row in rows:
        difference = f"{100 * row['difference']:+.1f}{_error(row['error'])}"
        names = [row["kind"], row["first"].replace("_", " "), row["second"].replace("_", " ")]
        lines.append(_line([*names, difference, row["gained"], row["lost"], f"{row['p']:.2g}", f"{row['p_adjusted']:.2g}"]))
    return lines


def _training(cells: Sequence[Row]) -> list[str]:
    trained = [cell for cell in cells if cell["steps"]]
    if not trained:
        return ["Nothing was trained."]
    lines = _header(["dataset", "condition", "seed", "examples", "steps", "tokens", "last loss", "rephrase during training"])
    for cell in trained:
        course = ", ".join(f"{_percent(entry['accuracy'])} ({entry['step']})" for entry in cell["validation"])
        loss = f"{cell['losses'][-1]['loss']:.3f}" if cell["losses"] else ""
        numbers = [cell["seed"], f"{cell['examples']:,}", f"{cell['steps']:,}", f"{cell['tokens']:,}", loss, course]
        lines.append(_line([cell["dataset"], cell["condition"], *numbers]))
    return lines


def _accuracy(row: Row | None) -> str:
    if row is None:
        return ""
    over_seeds = row["error_over_seeds"]
    seeds = "" if over_seeds is None else f" ({100 * over_seeds:.1f})"
    return f"{_percent(row['accuracy'])}{_error(row['error_over_questions'])}{seeds}"


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
