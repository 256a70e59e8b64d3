"""The cells of a study, and what the model reads in each of them: documents in context, or examples to train on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from icl_bench.loading import load_dataset
from icl_bench.study.cells import Cell
from icl_bench.study.model import Source
from icl_bench.study.scoring import CLOSED_BOOK, Context
from icl_bench.study.settings import TRAINED, Settings
from icl_bench.study.window import Size, check_context, check_examples, documents_of
from icl_bench.study.worlds import augmented, world
from icl_bench.training import training_text


def cells_of(settings: Settings, out: Path) -> Iterator[Cell]:
    """All cells, in the order in which they are done. The worlds are made, if they are not there."""
    for seed in settings.seeds:
        for dataset in settings.datasets:
            folder = world(out, settings, dataset, seed)
            for condition in settings.conditions:
                if condition == "in_context":
                    most = documents_of(folder, dataset, settings.documents.get(dataset))
                    for first in sorted(settings.documents_curve):
                        if first < most:
                            yield Cell(dataset, condition, seed, first)
                yield Cell(dataset, condition, seed)


class Reading(NamedTuple):
    """What the model of a cell reads besides the questions."""

    context: Size
    examples: list[str]
    """to train on"""


def reading(source: Source, settings: Settings, cell: Cell, out: Path, write: bool = True) -> Reading:
    """Make the data of a cell, and find what would fail.

    Args:
        write: whether the model writes documents where it is to; otherwise there are no examples.

    Raises:
        IclBenchError: documents or examples do not fit the window; the dataset cannot be augmented so.
    """
    folder, context = world(out, settings, cell.dataset, cell.seed), context_of(settings, cell)
    size = check_context(source, folder, cell.dataset, context) if context.in_context else Size(0, 0)
    by_model = cell.condition == "augmented" and settings.augmentation.method != "closure"
    if cell.condition not in TRAINED or (by_model and not write):
        return Reading(size, [])
    splits = ["train"]
    if cell.condition == "augmented":
        splits.append(augmented(source, folder, settings, cell.dataset))
    examples = training_text(load_dataset(cell.dataset, path=folder), settings.training.splitting, splits=splits)
    check_examples(source, cell.dataset, texts := list(examples["text"]))
    return Reading(size, texts)


def context_of(settings: Settings, cell: Cell) -> Context:
    """What stands before a question in a cell."""
    if cell.condition == "in_context":
        return Context(True, cell.first or settings.documents.get(cell.dataset))
    return Context(True, oracle=settings.oracle) if cell.condition == "oracle" else CLOSED_BOOK
