"""Documents and questions against the window of the model, before anything is trained: nothing is cut in silence."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from icl_bench.errors import IclBenchError
from icl_bench.study.model import Source
from icl_bench.study.scoring import Context, kinds, load_tasks


class Size(NamedTuple):
    """What stands before a question."""

    documents: float
    tokens: float
    """Both of the mean question, where questions have documents of their own."""


def documents_of(world: Path, dataset: str, documents: int | None) -> int:
    """How many documents are in context: as many as is said, or as the tasks take.

    Raises:
        IclBenchError: there are fewer.
    """
    count, most = _counts(world, dataset)
    if documents is not None and documents > most:
        raise IclBenchError(f"--documents {documents}, but {dataset} has {most} documents; ask for {most} or fewer")
    return count if documents is None else documents


@cache
def _counts(world: Path, dataset: str) -> tuple[int, int]:
    """How many documents the tasks take, and how many there are."""
    kind = next(iter(kinds(world, dataset)))
    [task] = load_tasks(world, dataset, [kind], Context(True))
    return task.config.num_fewshot, len(task.sampler.texts)


def check_context(source: Source, world: Path, dataset: str, context: Context) -> Size:
    """Check that documents and questions fit.

    Returns:
        How large the context is.

    Raises:
        IclBenchError: they do not fit, or there are fewer documents. The message says how many fit.
    """
    tasks = load_tasks(world, dataset, list(kinds(world, dataset)), context)
    asked = [doc for task in tasks for doc in task.dataset["test"]]
    questions = [
        max(each) for each in _grouped(source, [[f"{doc['question']} {choice}" for choice in doc["choices"]] for doc in asked])
    ]
    sampler = tasks[0].sampler
    each = lengths(source, [f"{text}\n\n" for text in sampler.texts])
    if context.oracle is None:
        count = documents_of(world, dataset, context.documents)
        sizes, longest = [Size(count, sum(each[:count]))], sum(each[:count]) + max(questions)
        fitting = _fitting(source, max(questions), each[:count])
        told, remedy = f"{count:,} documents", f"--documents {dataset}={fitting} fits" if fitting else "not one document fits"
    else:
        drawn = [sampler.drawn(doc) for doc in asked]
        sizes = [Size(len(proof) + len(others), sum(each[place] for place in [*proof, *others])) for proof, others in drawn]
        longest = max(int(size.tokens) + question for size, question in zip(sizes, questions, strict=True))
        fits = []
        for question, (proof, others) in zip(questions, drawn, strict=True):
            before = question + sum(each[place] for place in proof)
            fits.append(_fitting(source, before, [each[place] for place in others]) if before < source.window else -1)
        told = f"an answer's documents and {context.oracle} others"
        remedy = f"--oracle {min(fits)} fits" if min(fits) >= 0 else "not even the documents of the answer fit"
    if longest >= source.window:
        raise IclBenchError(
            f"{dataset}: {told} with the longest question have {longest:,} tokens, the window of {source.name} "
            f"{source.window:,}; {remedy}"
        )
    return Size(mean(size.documents for size in sizes), mean(size.tokens for size in sizes))


def _fitting(source: Source, before: int, each: Sequence[int]) -> int:
    """How many documents fit beside what takes its room anyway."""
    return sum(total + before < source.window for total in accumulate(each))


def check_examples(source: Source, dataset: str, texts: list[str]) -> None:
    """Check that every example to train on fits.

    Raises:
        IclBenchError: the longest does not.
    """
    longest = max(lengths(source, texts)) + 1  # the end of the text
    if longest > source.window:
        raise IclBenchError(
            f"{dataset}: the longest example to train on has {longest:,} tokens, the window of {source.name} {source.window:,}; "
            "train on single sentences with --splitting independent"
        )


def lengths(source: Source, texts: list[str]) -> list[int]:
    """Tokens of texts, without those that mark beginning and end."""
    tokenizer: Any = source.tokenizer
    return [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]] if texts else []


def _grouped(source: Source, groups: list[list[str]]) -> list[list[int]]:
    """Lengths of texts in groups, found at once."""
    each = iter(lengths(source, [text for group in groups for text in group]))
    return [[next(each) for _ in group] for group in groups]
