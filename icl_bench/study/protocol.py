"""The cells of a study, and what the model reads in each of them: documents in context, or examples to train on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from icl_bench.loading import load_dataset
from icl_bench.study.cells import Cell
from icl_bench.study.model import Source
from icl_bench.study.scoring import CLOSED_BOOK, Context
from icl_bench.study.settings import TRAINED, Settings
from icl_bench.study.window import Size, check_context, check_examples, documents_of
from icl_bench.study.worlds import augmented, world
from icl_bench.training import training_text

if TYPE_CHECKING:
    from datasets import Dataset


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


def check_cell(source: Source, settings: Settings, cell: Cell, out: Path) -> Size:
    """Find what would fail, and make the data.

    Returns:
        How much stands before a question.

    Raises:
        IclBenchError: documents or examples do not fit the window; the dataset cannot be augmented so.
    """
    folder, context = world(out, settings, cell.dataset, cell.seed), context_of(settings, cell)
    size = check_context(source, folder, cell.dataset, context) if context.in_context else Size(0, 0)
    written = cell.condition == "augmented" and settings.augmentation.method != "closure"  # by the model, when it is their turn
    if cell.condition in TRAINED and not written:
        check_examples(source, cell.dataset, list(examples_of(settings, cell, folder)["text"]))
    return size


def context_of(settings: Settings, cell: Cell) -> Context:
    """What stands before a question in a cell."""
    if cell.condition == "in_context":
        return Context(True, cell.first or settings.documents.get(cell.dataset))
    return Context(True, oracle=settings.oracle) if cell.condition == "oracle" else CLOSED_BOOK


def examples_of(settings: Settings, cell: Cell, folder: Path) -> Dataset:
    """What a cell is trained on: the column `text`."""
    splits = ["train"]
    if cell.condition == "augmented":
        splits.append(augmented(folder, settings, cell.dataset))
    return training_text(load_dataset(cell.dataset, path=folder), settings.training.splitting, splits=splits)
