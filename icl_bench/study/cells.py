"""One cell of a study: a dataset under a condition with a seed. Its folder, and when it is finished.

runs/x/cells/reversal/finetuned/0/questions.parquet    what became of every question
runs/x/cells/reversal/finetuned/0/cell.json            steps, tokens, validation: written last, so there means finished
runs/x/cells/reversal/finetuned/0/checkpoints/         while it is trained
runs/x/cells/reversal/in_context/0/first_50/           the same with the first 50 documents alone
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from icl_bench.errors import IclBenchError
from icl_bench.study.settings import CONDITIONS
from icl_bench.worlds import WORLDS

_POINT = "first_"
QUESTIONS = pa.schema(
    [
        ("id", pa.string()),
        ("split", pa.string()),
        ("kind", pa.string()),
        ("relation", pa.string()),
        ("hops", pa.int32()),
        ("correct", pa.bool_()),
        ("loglikelihoods", pa.list_(pa.float64())),
        ("chance", pa.float64()),
        ("correct_decided", pa.bool_()),
        ("chance_decided", pa.float64()),
    ]
)
"""Columns of questions.parquet. `loglikelihoods`: of each choice, in nats. `chance`: the share of the choices that are right.
`..._decided`: the same among the choices without weaker conclusions; null where a dataset has none."""


class Cell(NamedTuple):
    """What is trained and scored at once."""

    dataset: str
    condition: str
    seed: int
    first: int | None = None
    """A point of the curve over documents: how many there are in the context."""

    def __str__(self) -> str:
        return "/".join(self._path)

    @property
    def _path(self) -> list[str]:
        point = [] if self.first is None else [f"{_POINT}{self.first}"]
        return [self.dataset, self.condition, str(self.seed), *point]

    def folder(self, out: Path) -> Path:
        """Where it is kept."""
        return out.joinpath("cells", *self._path)

    def finished(self, out: Path) -> bool:
        """Whether all of it is there."""
        return (self.folder(out) / "cell.json").is_file()

    def save(self, out: Path, questions: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> None:
        """Write what came out; from then on it is finished."""
        folder = self.folder(out)
        folder.mkdir(parents=True, exist_ok=True)
        scratch = folder / ".questions.parquet"
        pq.write_table(pa.Table.from_pylist(list(questions), QUESTIONS), scratch, compression="zstd")
        scratch.replace(folder / "questions.parquet")
        write_json(folder / "cell.json", facts)

    def questions(self, out: Path) -> list[dict[str, Any]]:
        """What became of every question.

        Raises:
            IclBenchError: the file is damaged.
        """
        with _readable(folder := self.folder(out)):
            rows: list[dict[str, Any]] = pq.read_table(folder / "questions.parquet", schema=QUESTIONS).to_pylist()
        return rows

    def facts(self, out: Path) -> dict[str, Any]:
        """Steps, tokens, validation and the rest.

        Raises:
            IclBenchError: the file is damaged.
        """
        with _readable(folder := self.folder(out)):
            facts: dict[str, Any] = json.loads((folder / "cell.json").read_text(encoding="utf-8"))
        return facts


def finished(out: Path) -> Iterator[Cell]:
    """All finished cells of a folder, in the order of datasets, conditions and seeds."""
    for dataset in WORLDS:
        for condition in CONDITIONS:
            folder = out / "cells" / dataset / condition
            for seed in sorted(int(path.name) for path in folder.glob("*") if _is_integer(path.name)):
                names = [path.name.removeprefix(_POINT) for path in (folder / str(seed)).glob(f"{_POINT}*")]
                points = sorted(int(name) for name in names if name.isdecimal())
                cells = [Cell(dataset, condition, seed, first) for first in [*points, None]]
                yield from (cell for cell in cells if cell.finished(out))


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:150]
        raise IclBenchError(f"{folder} cannot be read ({reason}); remove it, and run the study again") from None


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file at once or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file at once or not at all."""
    scratch = path.with_name(f".{path.name}.new")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()
