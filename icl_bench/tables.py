"""Rows to Parquet and back. (The audit reads Parquet by itself: a fault here cannot hide there.)

A folder of tables holds `data/<config>/<split>.parquet`, `manifest.json` (version, seed, configuration and rules of every
dataset, hashes of every table) and a card, `README.md`. It is a `datasets` repository: `load_dataset(folder, config)`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from icl_bench.errors import IclBenchError
from icl_bench.schema import Document, FactRow, Question

_STRING, _STRINGS, _INDICES = pa.string(), pa.list_(pa.string()), pa.list_(pa.int32())
ROWS = pa.schema(
    [
        ("id", _STRING),
        ("kind", _STRING),
        ("relation", _STRING),
        ("text", _STRING),
        ("question", _STRING),
        ("choices", _STRINGS),
        ("claims", _STRINGS),
        ("answer", _INDICES),
        ("weaker", _INDICES),
        ("facts", _STRINGS),
        ("hops", pa.int32()),
        ("sentence_ends", _INDICES),
    ]
)
"""Columns of train, validation and test."""
FACTS = pa.schema(
    [
        ("id", _STRING),
        ("subject", _STRING),
        ("relation", _STRING),
        ("object", _STRING),
        ("sentence", _STRING),
        ("status", _STRING),
        ("proof", _STRINGS),
    ]
)
"""Columns of facts."""
EXAMPLES = {
    "text": pa.schema([("text", _STRING)]),
    "prompt_completion": pa.schema([("prompt", _STRING), ("completion", _STRING)]),
    "messages": pa.schema([("messages", pa.list_(pa.struct([("role", _STRING), ("content", _STRING)])))]),
}
"""Columns of examples to fine-tune on, for each format."""
MANIFEST = "manifest.json"
_BATCH = 4096

Row = Document | Question | FactRow


def schema_of(split: str) -> pa.Schema:
    """The columns of a split."""
    return FACTS if split == "facts" else ROWS


def config_of(name: str, split: str) -> str:
    """The configuration that holds a split of a dataset: facts have one of their own."""
    return f"{name}_facts" if split == "facts" else name


def docstrings(split: str) -> dict[str, str]:
    """What each column of a split means, from the docstrings of the records."""
    found: dict[str, str] = {}
    for model in (FactRow,) if split == "facts" else (Document, Question):
        for field, info in model.model_fields.items():
            found.setdefault(field, info.description or "")
    return found


def _batches(rows: Iterable[Row], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    iterator = iter(rows)
    while batch := [row.__dict__ for row in islice(iterator, _BATCH)]:
        columns = [pa.array([row.get(field.name) for row in batch], field.type) for field in schema]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def to_arrow(rows: Iterable[Row], split: str) -> pa.Table:
    """Rows as one table in memory."""
    schema = schema_of(split)
    return pa.Table.from_batches(_batches(rows, schema), schema=schema)


def _example_batches(examples: Iterable[Mapping[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    iterator = iter(examples)
    while batch := list(islice(iterator, _BATCH)):
        yield pa.RecordBatch.from_pylist(batch, schema=schema)


def examples_to_arrow(examples: Iterable[Mapping[str, Any]], format: str) -> pa.Table:
    """Examples to fine-tune on as one table in memory."""
    return pa.Table.from_batches(_example_batches(examples, EXAMPLES[format]), schema=EXAMPLES[format])


def write_examples(examples: Iterable[Mapping[str, Any]], path: Path, format: str) -> None:
    """Write examples to fine-tune on as they come, in constant memory."""
    with pq.ParquetWriter(path, EXAMPLES[format], compression="zstd") as writer:
        for batch in _example_batches(examples, EXAMPLES[format]):
            writer.write_batch(batch)


def canonical(row: dict[str, Any]) -> bytes:
    """The bytes of a row that its table's `rows_sha256` is made of: one line of JSON, columns in order."""
    return json.dumps(row, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"


def write_table(rows: Iterable[Row], path: Path, split: str) -> dict[str, Any]:
    """Write rows as they come, in constant memory.

    Returns:
        The table's entry in the manifest: rows, bytes in memory, sha256 of the file, rows_sha256 of what it says. The latter
        is the same whatever version of whatever library wrote the file.
    """
    schema = schema_of(split)
    names = schema.names
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, total = sha256(), 0

    def counted() -> Iterator[Row]:
        nonlocal total
        for row in rows:
            digest.update(canonical({name: row.__dict__.get(name) for name in names}))
            total += 1
            yield row

    size = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _batches(counted(), schema):
            size += batch.nbytes
            writer.write_batch(batch)
    return {"rows": total, "bytes": size, "sha256": file_sha256(path), "rows_sha256": digest.hexdigest()}


def rows_sha256(rows: Iterable[Row], split: str) -> str:
    """What `write_table` notes of these rows, without writing them."""
    names, digest = schema_of(split).names, sha256()
    for row in rows:
        digest.update(canonical({name: row.__dict__.get(name) for name in names}))
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder of tables.

    Raises:
        IclBenchError: there is none, or it is not one of ours.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise IclBenchError(f"{folder} has no {MANIFEST}; give a folder that icl-bench generate made") from None
    except (OSError, ValueError) as error:
        raise IclBenchError(f"{path} cannot be read: {error}; generate the folder again") from None
    if not isinstance(manifest, dict) or not {"icl_bench", "seed", "datasets", "tables"} <= set(manifest):
        raise IclBenchError(f"{path} is not a manifest of icl_bench; give a folder that icl-bench generate made")
    return manifest


def read_table(path: Path, split: str) -> pa.Table:
    """One table of a folder.

    Raises:
        IclBenchError: it is missing, damaged, or has other columns.
    """
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise IclBenchError(f"{path} is missing; generate the folder again") from None
    except (OSError, pa.ArrowException) as error:
        raise IclBenchError(
            f"{path} is not a readable Parquet file ({' '.join(str(error).split())[:120]}); generate it again"
        ) from None
    if table.schema.names != schema_of(split).names:
        raise IclBenchError(f"{path} has the columns {table.schema.names}, not {schema_of(split).names}; generate it again")
    return table.cast(schema_of(split))
