"""Reads a folder of tables as a stranger would: nothing but the manifest and the Parquet files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from icl_bench.errors import IclBenchError
from icl_bench.schema import Frozen
from icl_bench.shallow import Row

SPLITS = ("train", "validation", "test")
_ROWS = {
    "id": "string",
    "kind": "string",
    "relation": "string",
    "text": "string",
    "question": "string",
    "choices": "list<string>",
    "claims": "list<string>",
    "answer": "list<int32>",
    "weaker": "list<int32>",
    "facts": "list<string>",
    "hops": "int32",
    "sentence_ends": "list<int32>",
}
_FACTS = {
    "id": "string",
    "subject": "string",
    "relation": "string",
    "object": "string",
    "sentence": "string",
    "status": "string",
    "proof": "list<string>",
}
_NULL_IN_DOCUMENTS = {"relation", "question", "choices", "claims", "answer", "weaker", "hops"}
_NULL_IN_QUESTIONS = {"sentence_ends"}
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


class DatasetEntry(Frozen, extra="ignore"):
    """What the manifest says of a dataset."""

    rules: tuple[str, ...]
    """Every rule of its world, as `is_a(X, Z) :- is_a(X, Y), is_a(Y, Z).`"""
    checker: Literal["datalog", "process"] = "datalog"
    """What tells what follows: the rules, or a checker of the dataset's own."""
    covered: int
    """How many documents, from the first on, state all the facts that its questions need."""


class TableEntry(Frozen, extra="ignore"):
    """What the manifest says of a table."""

    rows: int
    sha256: str
    """Of the file."""
    rows_sha256: str
    """Of the rows, each as a line of JSON: the same however the file is compressed."""


class Manifest(Frozen, extra="ignore"):
    """The file `manifest.json`."""

    datasets: dict[str, DatasetEntry]
    tables: dict[str, TableEntry]

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of a folder of tables.

        Raises:
            IclBenchError: there is none, or it is not JSON, or not a manifest.
        """
        path = folder / "manifest.json"
        try:
            return cls(**json.loads(path.read_bytes()))
        except OSError as error:
            raise IclBenchError(f"{path}: {error.strerror}; name a folder that `icl-bench generate` wrote") from None
        except (TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise IclBenchError(f"{path} is not a manifest: {reason}; generate the folder again") from None


def names(dataset: str) -> list[str]:
    """The tables of a dataset, as the manifest names them."""
    return [*(f"data/{dataset}/{split}.parquet" for split in SPLITS), f"data/{dataset}_facts/facts.parquet"]


def augmented(dataset: str, manifest: Manifest) -> list[str]:
    """The tables that were added to a dataset, as the manifest names them."""
    return [name for name in manifest.tables if re.fullmatch(rf"data/{dataset}/augmented_[a-z]+\.parquet", name)]


def table_faults(folder: Path, dataset: str, manifest: Manifest) -> Iterator[str]:
    """Tables that a dataset lacks, in the folder or in the manifest, and tables that it should not have."""
    wanted = names(dataset) + augmented(dataset, manifest)
    for name in wanted:
        if not (folder / name).is_file():
            yield f"{name} is missing"
        if name not in manifest.tables:
            yield f"{name} is not in the manifest"
    for config in (dataset, f"{dataset}_facts"):
        listed = {name for name in manifest.tables if name.startswith(f"data/{config}/")}
        there = {path.relative_to(folder).as_posix() for path in folder.glob(f"data/{config}/**/*") if path.is_file()}
        yield from (f"{name} should not be there" for name in sorted((listed | there) - set(wanted)))


def stray_faults(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Tables of no dataset of the manifest."""
    configs = {config for dataset in manifest.datasets for config in (dataset, f"{dataset}_facts")}
    there = {path.relative_to(folder).as_posix() for path in folder.glob("data/**/*") if path.is_file()}
    for name in sorted(there | manifest.tables.keys()):
        parts = name.split("/")
        if len(parts) < 3 or parts[0] != "data" or parts[1] not in configs:
            yield f"{name} belongs to no dataset of the manifest"


class Table:
    """One Parquet file. Its rows are read once, in batches, and hashed while they pass.

    Raises:
        IclBenchError: the file cannot be read as Parquet (also while its rows are read).
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.path = name, folder / name
        self._digest = sha256()
        self.read = 0
        """How many rows have been read."""

    def __iter__(self) -> Iterator[Row]:
        """Its rows; to read once, since they are hashed."""
        for batch in self._batches():
            for row in batch.to_pylist():
                self._digest.update(_encode(row).encode())
                self._digest.update(b"\n")
                self.read += 1
                yield row

    def _batches(self) -> Iterator[Any]:
        try:
            with pq.ParquetFile(self.path) as file:
                yield from file.iter_batches(batch_size=4096)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise IclBenchError(f"{self.path} is damaged: {' '.join(str(error).split())}; fetch it again") from None

    def schema_faults(self) -> Iterator[str]:
        """Columns that are missing, extra, misplaced or of another type; nulls where values belong and the reverse."""
        facts = self.name.endswith("/facts.parquet")
        train = self.name.endswith("/train.parquet") or "/augmented_" in self.name
        wanted = _FACTS if facts else _ROWS
        empty = set() if facts else _NULL_IN_DOCUMENTS if train else _NULL_IN_QUESTIONS
        try:
            found = {field.name: _type_name(field.type) for field in pq.read_schema(self.path)}
        except (pa.ArrowException, OSError) as error:
            raise IclBenchError(f"{self.path} is damaged: {' '.join(str(error).split())}; fetch it again") from None
        if list(found.items()) != list(wanted.items()):
            for column in dict.fromkeys([*wanted, *found]):
                if wanted.get(column) != found.get(column):
                    have, want = found.get(column, "missing"), wanted.get(column, "a column")
                    yield f"{self.name}: {column} is {have}, not {want}"
            if found == wanted:
                yield f"{self.name}: the columns are in another order: {', '.join(found)}"
            return
        nulls, odd = dict.fromkeys(wanted, 0), set()
        rows = 0
        for batch in self._batches():
            rows += batch.num_rows
            for column in wanted:
                values = batch.column(column)
                nulls[column] += values.null_count
                if wanted[column].startswith("list") and values.flatten().null_count:
                    odd.add(column)
        for column, count in nulls.items():
            if count != (rows if column in empty else 0):
                should = "all" if column in empty else "none"
                yield f"{self.name}: {column} is null in {count:,} of {rows:,} rows, not in {should}"
        yield from (f"{self.name}: a list in {column} holds a null" for column in sorted(odd))

    def faults(self, entry: TableEntry) -> Iterator[str]:
        """A file or rows that are not the ones that were written; to ask once the rows have been read."""
        with self.path.open("rb") as file:
            found = file_digest(file, "sha256").hexdigest()
        if found != entry.sha256:
            yield f"{self.name} has sha256 {found}, not {entry.sha256}"
        if self.read != entry.rows:
            yield f"{self.name} has {self.read:,} rows, not {entry.rows:,}"
        if self._digest.hexdigest() != entry.rows_sha256:
            yield f"{self.name} has rows_sha256 {self._digest.hexdigest()}, not {entry.rows_sha256}"


def _type_name(kind: Any) -> str:
    return f"list<{kind.value_type}>" if pa.types.is_list(kind) else str(kind)
