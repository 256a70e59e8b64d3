"""`show`: one question with its choices, the facts that prove the answer, and documents that state them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from icl_bench.errors import IclBenchError
from icl_bench.loading import load_dataset


def show(name: str, question_id: str | None, seed: int = 0, path: Path | None = None, **config: Any) -> Iterator[str]:
    """The lines to print for a question; without an id, for the first one of every kind.

    Raises:
        IclBenchError: there is no such dataset or no question with this id.
    """
    data = load_dataset(name, seed, path, **config)
    if "test" not in data:
        raise IclBenchError(f"{name!r} holds facts, not questions; show {name.removesuffix('_facts')!r}")
    facts = {row["id"]: row for row in load_dataset(f"{name}_facts", seed, path, **config)["facts"]}
    questions = [*data["validation"], *data["test"]]
    first_of_kind = {row["kind"]: row for row in reversed(questions)}
    chosen = [row for row in questions if row["id"] == question_id] if question_id else list(first_of_kind.values())
    if not chosen:
        raise IclBenchError(f"{name} has no question with the id {question_id!r}; take one from the column 'id'")
    for row in chosen:
        yield f"{row['kind']} ({row['relation']}), id {row['id']}"
        yield f"  {row['question']} ..."
        for i, (choice, claim) in enumerate(zip(row["choices"], row["claims"], strict=True)):
            mark = "gold  " if i in row["answer"] else "weaker" if i in row["weaker"] else "      "
            yield f"    {mark}  {choice:30}  {claim}"
        yield f"  Proof, {row['hops']} hop{'s' if row['hops'] > 1 else ''}:"
        for fact_id in row["facts"]:
            told = [document for document in data["train"] if fact_id in document["facts"]]
            number = f"{len(told)} document{'s' * (len(told) > 1)}"
            yield f"    {facts[fact_id]['sentence']}  [{fact_id}, stated in {number}, first in {told[0]['id']}]"
        yield ""
