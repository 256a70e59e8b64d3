"""How true augmented documents are: every sentence parsed back into facts, and compared with what follows.

"Compared with femp, glon are less dangerous."   entailed, and asked in a test question: counts for recall
"Did you know that femp are heavier than glon."  false
"Here are four rephrasings:"                     not understood
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from icl_bench.augment_world import METHODS, Source, augmented_table, chosen, documents, source
from icl_bench.errors import IclBenchError
from icl_bench.parsing import Parser
from icl_bench.schema import Fact
from icl_bench.shallow import sentences


class Report(NamedTuple):
    """What the sentences of one augmented split say. Counts are of sentences, except in `recall`."""

    dataset: str
    method: str
    documents: int
    sentences: int
    parsed: int
    """understood: all that they say are facts, true or false"""
    entailed: int
    """parsed, and all that they say is true"""
    stated: int
    """entailed, and no more than the training documents state"""
    recall: Mapping[str, tuple[int, int]]
    """kind of question -> how many of the facts asked for are stated in some sentence, and how many there are"""

    @property
    def unparsed(self) -> int:
        """Sentences that were not understood."""
        return self.sentences - self.parsed

    @property
    def false(self) -> int:
        """Parsed sentences that say something that does not follow."""
        return self.parsed - self.entailed

    @property
    def precision(self) -> float:
        """The share of the parsed sentences that is entailed; 0 if none was parsed."""
        return self.entailed / self.parsed if self.parsed else 0.0


def check_augmented(folder: Path, method: str | None = None, names: Sequence[str] = ()) -> list[Report]:
    """Check the augmented documents of a folder.

    Args:
        method: closure, local or global; None for all that are there.
        names: datasets; none means all.

    Raises:
        IclBenchError: there are no such documents, or the world cannot be sampled again.
    """
    folder = Path(folder)
    manifest, datasets = chosen(folder, names)
    there = [
        (name, one)
        for name in datasets
        for one in ([method] if method else METHODS)
        if augmented_table(name, one) in manifest["tables"]
    ]
    if not there:
        raise IclBenchError(
            f"{folder} holds no augmented documents of {', '.join(datasets)}; run icl-bench augment --method first"
        )
    reports = []
    for name in dict.fromkeys(name for name, _ in there):
        found = source(folder, manifest, name)
        parse = Parser(found.world, found.known)
        asked = _asked(folder, manifest, name)
        for one in (one for other, one in there if other == name):
            reports.append(report(found, one, documents(folder, manifest, name, f"augmented_{one}"), parse, asked))
    return reports


def _asked(folder: Path, manifest: dict[str, Any], name: str) -> dict[str, list[set[Fact]]]:
    """Kind -> for each question of it, the facts that answer it."""
    found: dict[str, list[set[Fact]]] = {}
    for split in ("validation", "test"):
        for row in documents(folder, manifest, name, split):
            found.setdefault(row["kind"], []).append({fact_of(row["claims"][i]) for i in row["answer"]})
    return found


def fact_of(claim: str) -> Fact:
    """Read `is_a(gruds, abmes)`."""
    fact = Fact.parse(claim)
    if fact is None:
        raise IclBenchError(f"{claim!r} is no claim; generate the folder again")
    return fact


def report(
    found: Source, method: str, rows: Iterable[Mapping[str, Any]], parse: Parser, asked: Mapping[str, Sequence[set[Fact]]]
) -> Report:
    """Parse the sentences of documents, and count."""
    meaning = found.known.meaning
    already = {meaning(fact) for fact, row in found.facts.items() if row.status == "stated"}
    told: set[Hashable] = set()
    number = total = parsed = entailed = stated = 0
    for row in rows:
        number += 1
        for sentence in sentences(row):
            total += 1
            facts = parse(sentence)
            parsed += bool(facts)
            true = [meaning(fact) for fact in facts if fact in found.known]
            told.update(true)
            if facts and len(true) == len(facts):
                entailed += 1
                stated += already.issuperset(true)
    recall = {
        kind: (sum(any(meaning(answer) in told for answer in answers) for answers in each), len(each))
        for kind, each in asked.items()
    }
    return Report(found.name, method, number, total, parsed, entailed, stated, recall)
