"""Which documents stand before a question: the first of all, or for each question those that prove its answer among others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from lm_eval.api.samplers import FirstNSampler

from icl_bench.errors import IclBenchError
from icl_bench.streams import stream

Row = Mapping[str, Any]


class JoinedDocuments(FirstNSampler):  # type: ignore[misc]
    """The first n documents as one, so that lm-eval renders one few-shot example a question instead of thousands."""

    def __init__(self, texts: Sequence[str], dataset: str) -> None:
        super().__init__()
        self.texts = texts
        self._dataset = dataset
        self._joined = cache(lambda n: "\n\n".join(self.texts[:n]))

    def ask(self, question: Row) -> None:
        """Say which question comes next. These documents are the same for all."""

    def sample(self, n: int, eval_doc: Row | None = None, df: Sequence[Row] | None = None, **_: object) -> list[Row]:
        """One document that holds the first n.

        Raises:
            IclBenchError: there are fewer.
        """
        if not 0 <= n <= (most := len(self.texts)):
            raise IclBenchError(f"--num_fewshot {n}, but {self._dataset} has {most} documents; ask for {most} or fewer")
        return [{"text": self._joined(n)}]


class OracleDocuments(JoinedDocuments):
    """What perfect retrieval would find, and some others: the condition `oracle` of "Latent learning" (arXiv 2509.16189).

    For each fact that proves the answer one document that states it, drawn from all that do; with them `others` further
    documents, drawn from all the rest, so that some may state these facts once more; all in random order. The draws
    depend on the question alone.

    Args:
        documents: rows of the split `train`.
        others: how many documents beside those of the proof.

    Raises:
        IclBenchError: `others` is no number of documents, or there are fewer.
    """

    def __init__(self, documents: Sequence[Row], dataset: str, others: int) -> None:
        super().__init__([row["text"] for row in documents], dataset)
        if not isinstance(others, int) or isinstance(others, bool) or others < 0:
            raise IclBenchError(
                f"oracle = {others!r} is no number of documents; write such as 10, or 0 for those of the proof alone"
            )
        self.others = others
        self.shots = others + 1
        """What lm-eval is told, for its table of results."""
        self._stating: dict[str, list[int]] = {}
        for place, row in enumerate(documents):
            for fact in row["facts"]:
                self._stating.setdefault(fact, []).append(place)
        self._facts = [frozenset(row["facts"]) for row in documents]
        self._question: Row = {}

    def ask(self, question: Row) -> None:
        """Say which question comes next."""
        self._question = question

    def sample(self, n: int, eval_doc: Row | None = None, df: Sequence[Row] | None = None, **_: object) -> list[Row]:
        """One document that holds those of the question; n is `shots`.

        Raises:
            IclBenchError: no document states a fact of the proof, or there are too few others.
        """
        return [{"text": "\n\n".join(self.texts[place] for place in self.places(self._question))}]

    def places(self, question: Row) -> list[int]:
        """Where in `train` the documents of a question are, in the order in which they are told."""
        proof, others = self.drawn(question)
        return stream(0, "oracle order", question["id"]).shuffled([*proof, *others])

    def drawn(self, question: Row) -> tuple[list[int], list[int]]:
        """Where those of the proof are, and the others: with fewer others, the first of these."""
        draws = stream(0, "oracle", question["id"])
        proof: list[int] = []
        for fact in question["facts"]:
            if fact not in self._stating:
                raise IclBenchError(f"oracle: no document of {self._dataset} states {fact}, which proves {question['id']}")
            if not any(fact in self._facts[place] for place in proof):
                proof.append(draws.choice(self._stating[fact]))
        rest = [place for place in range(len(self.texts)) if place not in proof]
        if self.others > (most := len(rest)):
            raise IclBenchError(
                f"oracle = {self.others}, but {self._dataset} has {most} other documents; ask for {most} or fewer"
            )
        return proof, draws.sample(rest, self.others)
