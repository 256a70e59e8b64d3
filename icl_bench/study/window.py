"""Documents and questions against the window of the model, before anything is trained: nothing is cut in silence."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Any

from icl_bench.errors import IclBenchError
from icl_bench.study.model import Source
from icl_bench.study.scoring import kinds, manager, quiet, task_name


def check_context(source: Source, world: Path, dataset: str, documents: int | None) -> None:
    """Check that documents and questions fit.

    Args:
        documents: how many; None for as many as the tasks take.

    Raises:
        IclBenchError: they do not, or there are fewer documents. The message says how many fit.
    """
    names = [task_name(dataset, kind, True) for kind in kinds(world, dataset)]
    with quiet():
        tasks = manager(world).load(names)["tasks"]
    task = next(iter(tasks.values()))
    texts = task.sampler.texts
    count = task.config.num_fewshot if documents is None else documents
    if count > len(texts):
        raise IclBenchError(f"--documents {count}, but {dataset} has {len(texts)} documents; ask for {len(texts)} or fewer")
    each = _lengths(source, [f"{text}\n\n" for text in texts[:count]])
    question = max(
        max(_lengths(source, [f"{doc['question']} {choice}" for doc in one.dataset["test"] for choice in doc["choices"]]))
        for one in tasks.values()
    )
    if sum(each) + question >= source.window:
        room = source.window - 1 - question
        fitting = sum(total <= room for total in accumulate(each))
        remedy = f"--documents {fitting} fits" if fitting else "not one document fits"
        raise IclBenchError(
            f"{dataset}: {count:,} documents with the longest question have {sum(each) + question:,} tokens, the window of "
            f"{source.name} {source.window:,}; {remedy}"
        )


def check_examples(source: Source, dataset: str, texts: list[str]) -> None:
    """Check that every example to train on fits.

    Raises:
        IclBenchError: the longest does not.
    """
    longest = max(_lengths(source, texts)) + 1  # the end of the text
    if longest > source.window:
        raise IclBenchError(
            f"{dataset}: the longest example to train on has {longest:,} tokens, the window of {source.name} {source.window:,}; "
            "train on single sentences with --splitting independent"
        )


def _lengths(source: Source, texts: list[str]) -> list[int]:
    tokenizer: Any = source.tokenizer
    return [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]] if texts else []
