"""Answers of a model on disk, so that none is paid for twice.

    {"key": "5f0c...", "answer": "Compared with femp, glon are less dangerous."}

One line an answer, written as it comes. A process that is killed loses at most the answer that is being written: a torn line
is passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from icl_bench.errors import IclBenchError


def key_of(*parts: Any) -> str:
    """32 hexadecimal digits of SHA-256: the key of the answer to this prompt by this model."""
    return sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


class Journal(Mapping[str, str]):
    """The answers so far, by key. Every change is on disk before `write` returns.

    Raises:
        IclBenchError: the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._answers: dict[str, str] = {}
        self._torn = False
        if path.exists():
            self._read()

    def _read(self) -> None:
        try:
            lines = self._path.read_bytes().split(b"\n")
        except OSError as error:
            raise IclBenchError(f"{self._path}: {error.strerror}; remove it to ask the model again") from None
        self._torn = bool(lines[-1])
        for line in lines:
            try:
                entry = json.loads(line)
                key, answer = entry["key"], entry["answer"]
            except (ValueError, TypeError, KeyError):
                continue
            if isinstance(key, str) and isinstance(answer, str):
                self._answers[key] = answer

    def write(self, key: str, answer: str) -> None:
        """Note an answer."""
        line = json.dumps({"key": key, "answer": answer}, ensure_ascii=False) + "\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write((b"\n" if self._torn else b"") + line.encode("utf-8", "replace"))
        except OSError as error:
            raise IclBenchError(f"cannot write {self._path}: {error.strerror}; make room, and run the command again") from None
        self._torn = False
        self._answers[key] = answer

    def __getitem__(self, key: str) -> str:
        return self._answers[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._answers)

    def __len__(self) -> int:
        return len(self._answers)
