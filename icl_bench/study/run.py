"""All cells of a study. One that is finished is never done again, and one that is half trained is gone on with."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from typing import Any

from filelock import FileLock, Timeout

from icl_bench.errors import IclBenchError
from icl_bench.study.cells import Cell, finished, write_json
from icl_bench.study.failures import in_one_line
from icl_bench.study.model import Source
from icl_bench.study.progress import Display
from icl_bench.study.protocol import cells_of, context_of, reading
from icl_bench.study.report import write_report
from icl_bench.study.results import environment, write_results
from icl_bench.study.scoring import kinds, score
from icl_bench.study.settings import TRAINED, Settings
from icl_bench.study.training import Step, Trained, finetune
from icl_bench.study.worlds import augmented_sha256, data_sha256, world
from icl_bench.version import __version__

STUDY, LOCK = "study.json", ".lock"


def study(settings: Settings, out: Path, display: Display | None = None) -> dict[str, Any]:
    """Do what is missing of a study, and write results.json, report.md and figures of all that is finished.

    Returns:
        What is in results.json.

    Raises:
        IclBenchError: a model that cannot be loaded, a folder that holds another study or is being written, documents that
            do not fit the window, a dataset that cannot be augmented so: all of it before anything is trained. No memory or
            no disk: what is finished is kept.
    """
    _hush()
    source = Source(settings.model, settings.precision)
    with in_one_line("study", out):
        _refuse_others(out)
        out.mkdir(parents=True, exist_ok=True)
    with _alone(out), display or Display() as shown:
        with in_one_line("study", out):
            common = _claim(out, source, settings)
            cells = list(cells_of(settings, out))
            missing = [cell for cell in cells if not cell.finished(out)]
            if len(missing) < len(cells):
                shown.say(f"{len(cells) - len(missing)} of {len(cells)} cells are finished")
            for cell in missing:
                reading(source, settings, cell, out, write=False)
        for place, cell in enumerate(missing):
            shown.begin(cell, cells.index(cell) + 1, len(cells))
            try:
                with in_one_line(str(cell), out):
                    _do(source, settings, cell, out, shown.step)
            except KeyboardInterrupt:
                shown.say("  stopped; what is finished is kept, and the same command goes on")
                raise
            shown.end(missing[place + 1 :], {cell: cell.facts(out)["seconds"] for cell in finished(out)})
        with in_one_line("report", out):
            results = write_results(out, common)
            write_report(out, results)
    return results


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep another process from the same folder."""
    try:
        with FileLock(out / LOCK, timeout=0):
            yield
    except Timeout:
        raise IclBenchError(f"another icl-bench study is running in {out}; wait for it, or choose another --out") from None


def _hush() -> None:
    """Libraries show bars and remarks for every model and table; what a study does, it says itself."""
    import datasets
    from transformers.utils import logging

    datasets.disable_progress_bars()
    logging.disable_progress_bar()
    logging.set_verbosity_error()


def _refuse_others(out: Path) -> None:
    """Leave a folder alone that holds something else."""
    if out.exists() and not (out / STUDY).is_file() and {path.name for path in out.iterdir()} - {LOCK}:
        raise IclBenchError(f"{out} is not empty and holds no {STUDY}; choose another --out")


def _claim(out: Path, source: Source, settings: Settings) -> dict[str, Any]:
    """Note in the folder what all its cells have in common, or check it against what is noted there."""
    path = out / STUDY
    precision = str(source.dtype).removeprefix("torch.")
    common: dict[str, Any] = {
        "icl_bench": __version__,
        "model": source.identity,
        "precision": precision,
        "settings": settings.shared(),
    }
    common = json.loads(json.dumps(common))
    if path.is_file():
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise IclBenchError(f"{path} is damaged; choose another --out") from None
        begun = {folder.name for folder in (out / "cells").glob("*")}
        for dataset in settings.datasets:
            if dataset not in begun and there["settings"]["fields"].get(dataset) != common["settings"]["fields"].get(dataset):
                shutil.rmtree(out / "worlds" / dataset, ignore_errors=True)
        there, common = _comparable(there, common, settings.datasets, begun)
        if there != common and begun:
            name = _difference(there, common)
            raise IclBenchError(f"{out} holds a study in which {name}; choose another --out, or the same settings")
        if there != common:  # nothing was begun: other settings may be tried
            _forget_worlds(out, there, common)
    write_json(path, common)
    return common


def _comparable(there: Any, here: Any, studied: Sequence[str], begun: set[str]) -> tuple[Any, Any]:
    """Both, so that they differ only in what matters: the place of a model does not, nor what datasets are that come new."""
    there, here = json.loads(json.dumps(there)), json.loads(json.dumps(here))
    if "sha256" in here["model"] and here["model"]["sha256"] == there["model"].get("sha256"):
        here["model"]["name"] = here["settings"]["model"] = there["settings"]["model"]
    for part in ("fields", "documents"):
        known = there["settings"].get(part, {})
        kept = {dataset: value for dataset, value in known.items() if dataset not in studied}
        new = {dataset: value for dataset, value in here["settings"][part].items() if dataset in studied}
        here["settings"][part] = kept | new
        there["settings"][part] = {key: known.get(key, value) if key in begun else value for key, value in (kept | new).items()}
        there["settings"][part] |= {key: value for key, value in known.items() if key in begun}
    return there, here


def _forget_worlds(out: Path, there: dict[str, Any], here: dict[str, Any]) -> None:
    """Remove worlds that would be made otherwise now, or whose augmented documents would be."""
    same = all(there["settings"].get(part) == here["settings"][part] for part in ("fields", "augmentation"))
    if not same or any(there.get(part) != here[part] for part in ("icl_bench", "model", "precision")):
        shutil.rmtree(out / "worlds", ignore_errors=True)


def _difference(there: Any, here: Any, place: str = "") -> str:
    """The first place in which two settings differ, in words."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in dict.fromkeys((*there, *here)):
            if there.get(key) != here.get(key):
                return _difference(there.get(key), here.get(key), f"{place}.{key}" if place else key)
    return f"{place} is {there}, not {here}"


def _do(source: Source, settings: Settings, cell: Cell, out: Path, stepped: Step) -> None:
    """Train and score one cell."""
    start = time.monotonic()
    folder, checkpoints = world(out, settings, cell.dataset, cell.seed), cell.folder(out) / "checkpoints"
    read = reading(source, settings, cell, out)
    asked, limit = list(kinds(folder, cell.dataset)), settings.training.validation_questions
    made: Trained | None = None

    def validate(model: Any) -> dict[str, float]:
        rows = score(model, source.tokenizer, folder, cell.dataset, asked, limit=limit)
        return {kind: mean(float(row["correct"]) for row in rows if row["kind"] == kind) for kind in asked}

    if cell.condition in TRAINED:
        steps = settings.training.steps_of(cell.dataset, cell.condition)
        made = finetune(source, read.examples, settings.training, steps, cell.seed, checkpoints, validate, stepped)
    model = made.model if made else source.load()
    questions = score(model, source.tokenizer, folder, cell.dataset, asked, context_of(settings, cell))
    facts = {
        "dataset": cell.dataset,
        "condition": cell.condition,
        "seed": cell.seed,
        "first": cell.first,
        "documents": read.context.documents,
        "context_tokens": read.context.tokens,
        "examples": len(read.examples),
        "steps": made.steps if made else 0,
        "tokens": made.tokens if made else 0,
        "losses": made.losses if made else [],
        "validation": made.validation if made else [],
        "data_sha256": data_sha256(folder),
        "augmented_sha256": augmented_sha256(folder, settings, cell.dataset) if cell.condition == "augmented" else None,
        "environment": environment(),
        "seconds": round(time.monotonic() - start, 1),  # since it was last begun
    }
    cell.save(out, questions, facts)
    shutil.rmtree(checkpoints, ignore_errors=True)
