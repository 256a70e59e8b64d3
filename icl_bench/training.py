"""Documents as examples to fine-tune on: whole or by the sentence, in three formats.

    Two things hold of ecunk, slaug and iprar: No slaug are ecunk. All iprar are slaug.

    independent, text                  All iprar are slaug.
    cumulative, text                   Two things hold of ecunk, slaug and iprar: No slaug are ecunk. All iprar are slaug.
    cumulative, prompt_completion      Two things hold of ecunk, slaug and iprar: No slaug are ecunk. |  All iprar are slaug.

A document of n sentences makes n examples either way. Where its sentences end is known since it was rendered
(`sentence_ends`), not guessed; a headline or a numeral belongs to the sentence that follows it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from icl_bench.errors import IclBenchError
from icl_bench.loading import load_dataset
from icl_bench.rendering import wordings
from icl_bench.tables import examples_to_arrow, write_examples

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

Splitting = Literal["none", "independent", "cumulative"]
Format = Literal["text", "prompt_completion", "messages"]
_COLUMNS = ["text", "question", "sentence_ends"]
_BATCH = 1000


def training_text(
    dataset: str | Dataset | DatasetDict,
    split: Splitting = "none",
    format: Format = "text",
    splits: Sequence[str] = ("train",),
    seed: int = 0,
    path: str | Path | None = None,
    **config: Any,
) -> Dataset:
    """The documents of a dataset as a `datasets.Dataset` to train on, in the order of the documents.

    Args:
        dataset: a name, with `seed`, `path` and fields as in `load_dataset`; or what `load_dataset` gave, whole or one
            split of it.
        split: how documents are split. `none`: one example a document. `independent`: each sentence alone.
            `cumulative`: each sentence with all of its document before it.
        format: the columns. `text`: to learn all of it. `prompt_completion`: to learn the completion; the prompt is the
            sentences before (`cumulative`), or else an instruction that is the same everywhere
            (`templates/training/instruction.txt`). `messages`: these two as turns of user and assistant; trainers learn
            both turns unless told otherwise (`assistant_only_loss` in TRL).
        splits: which splits of documents, one after another, such as `("train", "augmented_closure")`.

    Returns:
        One column, `text` or `messages`, or two, `prompt` and `completion`. No text starts or ends with white space, except
        that a completion starts with what separates it from its prompt: the white space of the document, or an empty line
        after the instruction. So prompt + completion is the beginning of a document, unchanged.

    Raises:
        IclBenchError: an unknown way to split, format, dataset, split or field, questions instead of documents, or
            documents whose sentences are not known.
    """
    from datasets import Dataset

    return Dataset(examples_to_arrow(_examples(dataset, split, format, splits, seed, path, config), format))


def write_training_text(
    out: Path,
    dataset: str | Dataset | DatasetDict,
    split: Splitting = "none",
    format: Format = "text",
    splits: Sequence[str] = ("train",),
    seed: int = 0,
    path: str | Path | None = None,
    config: Mapping[str, Any] | None = None,
    force: bool = False,
    progress: Callable[[int], None] = lambda examples: None,
) -> int:
    """Write what `training_text` gives to a file, all of it or nothing, as it comes.

    Args:
        out: a file that ends in .jsonl or .parquet.
        dataset, split, format, splits, seed, path, config: as for `training_text`.
        force: replace a file that is there.
        progress: called with the number of examples so far.

    Returns:
        How many examples there are.

    Raises:
        IclBenchError: as `training_text`; also another ending, a file that is there, or one that cannot be written.
    """
    if out.suffix not in (".jsonl", ".parquet"):
        raise IclBenchError(f"cannot write {str(out)!r}: give a file that ends in .jsonl or .parquet")
    if out.is_dir():
        raise IclBenchError(f"{out} is a folder; give a file that ends in .jsonl or .parquet")
    if out.exists() and not force:
        raise IclBenchError(f"{out} exists; choose another --out, or replace it with --force")
    rows = _examples(dataset, split, format, splits, seed, path, config or {})
    total = 0

    def counted() -> Iterator[dict[str, Any]]:
        nonlocal total
        for total, row in enumerate(rows, 1):
            if total % 1000 == 0:
                progress(total)
            yield row
        progress(total)

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
            file = Path(scratch, out.name)
            if out.suffix == ".parquet":
                write_examples(counted(), file, format)
            else:
                with file.open("w", encoding="utf-8") as lines:
                    lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in counted())
            file.replace(out)
    except OSError as error:
        raise IclBenchError(f"cannot write {out}: {error.strerror}; choose another --out, or make room") from None
    return total


def _examples(
    dataset: str | Dataset | DatasetDict,
    split: Splitting,
    format: Format,
    splits: Sequence[str],
    seed: int,
    path: str | Path | None,
    config: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    """The examples one after another. Bad arguments are found before the first."""
    for name, value, known in (("split", split, get_args(Splitting)), ("format", format, get_args(Format))):
        if value not in known:
            raise IclBenchError(f"{name} = {value!r}; it is one of {', '.join(known)}")
    tables = _tables(dataset, splits, seed, path, config)
    instruction = wordings("training", "instruction")[0][0].fill({})
    pieces = (piece for table in tables for document in _documents(table) for piece in _pieces(*document, split))
    return (_example(before, piece, instruction, format) for before, piece in pieces)


def _tables(
    dataset: str | Dataset | DatasetDict,
    splits: Sequence[str],
    seed: int,
    path: str | Path | None,
    config: Mapping[str, Any],
) -> list[Dataset]:
    from datasets import Dataset, DatasetDict

    names = [splits] if isinstance(splits, str) else list(splits)
    if isinstance(dataset, str):
        name, dataset = dataset, load_dataset(dataset, seed, path, **config)
    else:
        name = "this dataset"
        if seed or path is not None or config:
            raise IclBenchError("seed, path and fields go with a name; load the dataset with them, or give its name")
    if isinstance(dataset, Dataset):
        if names != ["train"]:
            raise IclBenchError(f"splits = {names} of a dataset that is one split; give all of it, or leave splits out")
        found = [dataset]
    elif isinstance(dataset, DatasetDict):
        if unknown := [split for split in names if split not in dataset]:
            raise IclBenchError(f"{name} has no split {unknown[0]!r}; it has {', '.join(dataset)}")
        found = [dataset[split] for split in names]
    else:
        raise IclBenchError(f"dataset is a {type(dataset).__name__}; give a name, a Dataset or a DatasetDict")
    if not found:
        raise IclBenchError(f"splits = {names}: name one or more, such as train")
    for table in found:
        if missing := [column for column in _COLUMNS if column not in table.column_names]:
            raise IclBenchError(f"{name} has no column {missing[0]!r}; give documents of icl_bench")
    return found


def _documents(table: Dataset) -> Iterator[tuple[str, list[int] | None]]:
    for batch in table.select_columns(_COLUMNS).iter(_BATCH):
        for text, question, ends in zip(*(batch[column] for column in _COLUMNS), strict=True):
            if question is not None:
                raise IclBenchError(
                    f"{question!r} is a question: to train on it is to train on the test; name splits of documents"
                )
            yield text, ends


def _pieces(text: str, ends: list[int] | None, split: Splitting) -> Iterator[tuple[str, str]]:
    """For each piece of a document: what a reader of the example has read before it, and the piece."""
    if split == "none":
        yield "", text
        return
    if not ends or ends[-1] != len(text):
        raise IclBenchError(f"where the sentences of {text[:40]!r} end is not known; leave it whole with split = 'none'")
    for start, end in pairwise([0, *ends]):
        yield text[:start] if split == "cumulative" else "", text[start:end]


def _example(before: str, piece: str, instruction: str, format: Format) -> dict[str, Any]:
    text = f"{before}{piece}".strip()
    prompt = before.strip()
    if format == "text":
        return {"text": text}
    if format == "messages":
        turns = (("user", prompt or instruction), ("assistant", piece.strip()))
        return {"messages": [{"role": role, "content": content} for role, content in turns]}
    if prompt:
        return {"prompt": prompt, "completion": text.removeprefix(prompt)}
    return {"prompt": instruction, "completion": f"\n\n{text}"}
