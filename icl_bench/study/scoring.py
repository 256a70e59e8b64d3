"""All questions of a dataset, by lm-eval and `icl-hf`; and the same tasks against the model's window."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lm_eval.evaluator import evaluate
from lm_eval.tasks import TaskManager

from icl_bench.evaluate import task_folder
from icl_bench.loading import load_dataset
from icl_bench.scoring import ICLHF

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SPLITS = ("validation", "test")


class Context(NamedTuple):
    """What stands before a question."""

    in_context: bool = False
    """Whether documents do."""
    documents: int | None = None
    """How many; None for as many as the task takes."""
    oracle: int | None = None
    """Those that prove the answer, and so many others, instead."""


CLOSED_BOOK = Context()


def kinds(world: Path, dataset: str) -> dict[str, str]:
    """The kinds of questions of a dataset, each with the split that holds it."""
    tables = load_dataset(dataset, path=world)
    return {kind: split for split in SPLITS for kind in tables[split].unique("kind")}


def task_name(dataset: str, kind: str, in_context: bool) -> str:
    """The task of lm-eval that asks this."""
    return f"icl_bench_{dataset}{'' if kind == dataset else f'_{kind}'}{'_in_context' if in_context else ''}"


def _load(world: Path, names: Sequence[str], context: Context) -> Any:
    """Tasks by name, for a folder of tables, as lm-eval's `evaluate` takes them."""
    metadata = {"path": str(world)} | ({} if context.oracle is None else {"oracle": context.oracle})
    return TaskManager(include_path=task_folder(), include_defaults=False, metadata=metadata).load(list(names))


def load_tasks(world: Path, dataset: str, asked: Sequence[str], context: Context) -> list[Any]:
    """The tasks themselves, for kinds of questions."""
    names = [task_name(dataset, kind, context.in_context) for kind in asked]
    with quiet():
        loaded = _load(world, names, context)["tasks"]
    return [loaded[name] for name in names]


def score(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    world: Path,
    dataset: str,
    asked: Sequence[str],
    context: Context = CLOSED_BOOK,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """What becomes of every question.

    Args:
        world: the folder of tables.
        asked: kinds of questions.
        context: the documents before each question.
        limit: the first questions of each kind only.

    Returns:
        Rows of `questions.parquet`, in the order of the questions.

    Raises:
        IclBenchError: a prompt is longer than the model's window.
    """
    split_of = kinds(world, dataset)
    names = {task_name(dataset, kind, context.in_context): kind for kind in asked}
    model.eval()
    with quiet():
        loaded = _load(world, list(names), context)
        for task in loaded["tasks"].values():
            if context.documents is not None:
                task.set_config("num_fewshot", context.documents)
        lm = ICLHF(pretrained=model, tokenizer=tokenizer, batch_size=16)
        found = evaluate(lm, loaded, limit=limit, bootstrap_iters=0)
    return [
        _row(sample, kind, split_of[kind])
        for task, kind in names.items()
        for sample in sorted(found["samples"][task], key=lambda sample: int(sample["doc_id"]))
    ]


def _row(sample: Mapping[str, Any], kind: str, split: str) -> dict[str, Any]:
    doc = sample["doc"]
    return {
        "id": doc["id"],
        "split": split,
        "kind": kind,
        "relation": doc["relation"],
        "hops": doc["hops"],
        "correct": bool(sample["acc"]),
        "loglikelihoods": [float(likelihood) for likelihood, _ in sample["filtered_resps"]],
        "chance": float(sample["chance"]),
        "correct_decided": bool(sample["acc_decided"]) if "acc_decided" in sample else None,
        "chance_decided": sample.get("chance_decided"),
    }


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars and the remarks of lm-eval; our own warnings are shown."""
    theirs, ours = logging.getLogger("lm_eval"), logging.getLogger("icl_bench")
    level, handler = theirs.level, logging.StreamHandler(sys.stderr)
    theirs.setLevel(logging.ERROR)
    ours.addHandler(handler)
    try:
        with redirect_stderr(StringIO()):
            yield
    finally:
        theirs.setLevel(level)
        ours.removeHandler(handler)
