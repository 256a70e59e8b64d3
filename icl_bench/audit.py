"""Checks a folder of tables from outside, as a stranger would: what it says and what it gives away.

    closure             facts are exactly what follows from the stated ones       3,104 facts
    pair leakage        no sentence has both entities of an asked fact            2,200 documents
    longest, reversal   picking the longest choice is right as often as chance    25.4 %, chance 25.0 %, z +0.2

Nothing here knows how a world is made: the rules are in the manifest, and all else is in the tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from icl_bench import audit_questions
from icl_bench.audit_checkers import CHECKERS
from icl_bench.audit_questions import Asked
from icl_bench.audit_tables import DatasetEntry, Manifest, Table, augmented, names, stray_faults, table_faults
from icl_bench.audit_text import ends_faults
from icl_bench.schema import Rule
from icl_bench.shallow import Baseline, Row, baselines

LIMIT = 4.0
"""Standard errors from chance at which a shallow learner fails."""
FEW = 20
"""Questions of a kind below which no learner fails: their number follows no normal distribution."""

_LENGTH = "'some' is the longest quantifier, and the forms are used evenly, not the quantifiers of their conclusions"
_STATED_PAIR = "premise and answer are about the same two entities, which occur together by definition"
EXPECTED: Mapping[tuple[str, str, str], str] = {
    ("syllogism", "syllogism", "longest"): _LENGTH,
    ("syllogism", "syllogism", "shortest"): _LENGTH,
    ("semantic_structure", "reversal", "same document"): _STATED_PAIR,
    ("semantic_structure", "reversal", "same sentence"): _STATED_PAIR,
    ("semantic_structure", "category_holdout (1 hop)", "same document"): _STATED_PAIR,
    ("semantic_structure", "category_holdout (1 hop)", "same sentence"): _STATED_PAIR,
    ("reversal_curse", "name_from_description", "same document"): _STATED_PAIR,
    ("reversal_curse", "name_from_description", "same sentence"): _STATED_PAIR,
    ("reversal_curse", "description_from_name", "same document"): _STATED_PAIR,
    ("reversal_curse", "description_from_name", "same sentence"): _STATED_PAIR,
}
"""(dataset, kind, learner) -> why this learner cannot be at chance there: it is reported and does not fail."""


class Check(NamedTuple):
    """One thing that was checked, and what was found."""

    dataset: str
    name: str
    passed: bool
    detail: str
    """How much was checked; if it failed, how many faults and the first of them."""


class _Tally:
    """The faults of each check: all counted, the first kept."""

    def __init__(self, dataset: str) -> None:
        self._dataset = dataset
        self._count: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, name: str, faults: Iterable[str], where: str = "") -> bool:
        """Note the faults of a check; returns whether there were none."""
        before = self._count[name]
        for fault in faults:
            self._count[name] += 1
            self._first.setdefault(name, f"{where}: {fault}" if where else fault)
        return self._count[name] == before

    def faults(self, name: str) -> int:
        """How many faults a check has found so far."""
        return self._count[name]

    def check(self, name: str, passed: str) -> Check:
        """The check with this name; `passed` is its detail if no fault was noted."""
        count = self._count[name]
        detail = f"{count:,} faults, first: {self._first[name]}" if count else passed
        return Check(self._dataset, name, not count, detail)


def audit(path: Path) -> list[Check]:
    """Check every dataset of a folder of tables.

    Raises:
        IclBenchError: the folder has no manifest, or the manifest or a Parquet file cannot be read.
    """
    path = Path(path)
    manifest = Manifest.read(path)
    checks = [Check("manifest", "tables", False, fault) for fault in stray_faults(path, manifest)]
    for dataset, entry in manifest.datasets.items():
        checks.extend(_dataset(path, dataset, entry, manifest))
    return checks


def _dataset(folder: Path, dataset: str, entry: DatasetEntry, manifest: Manifest) -> Iterator[Check]:
    tally = _Tally(dataset)
    tables = [Table(folder, name) for name in names(dataset) + augmented(dataset, manifest)]
    whole = tally.add("tables", table_faults(folder, dataset, manifest))
    yield tally.check("tables", f"{len(tables)} tables, as in the manifest")
    if not whole:
        return
    whole = tally.add("schema", chain.from_iterable(table.schema_faults() for table in tables))
    yield tally.check("schema", "columns, types and nulls")
    if not whole:
        return
    train, validation, test, facts, *added = tables
    reading = _Reading(facts, entry, tally)
    for split, table in (("validation", validation), ("test", test)):
        for row in table:
            reading.question(row, split)
    measured = baselines(reading.documents(train), reading.asked.shallow())
    for table in added:
        for row in table:
            reading.added(row)
    for table in tables:
        tally.add("hashes", table.faults(manifest.tables[table.name]))
    yield from reading.checks(train.read, validation.read + test.read, facts.read)
    if added:
        yield tally.check("augmented", f"{sum(table.read for table in added):,} documents")
    for result in measured:
        yield _shallow(dataset, result)


class _Reading:
    """One dataset, read once: its facts at the start, then its questions, then its documents."""

    def __init__(self, facts: Table, entry: DatasetEntry, tally: _Tally) -> None:
        self._covered, self._tally = entry.covered, tally
        self._ids: set[str] = set()
        checker = CHECKERS[entry.checker]
        self._truth = checker.truth(facts, [Rule.parse(rule) for rule in entry.rules])
        self._leaks = checker.leaks(self._truth)
        self.asked = Asked()
        tally.add("ids", self._truth.id_faults())
        tally.add("closure", self._truth.closure_faults())
        tally.add("proofs", self._truth.proof_faults())

    def question(self, row: Row, split: str) -> None:
        add, truth, where = self._tally.add, self._truth, row["id"]
        self.asked.needed.update(row["facts"])
        add("ids", self._repeated(row))
        if not add("questions", audit_questions.question_faults(row), where):
            return
        add("wording", audit_questions.wording_faults(row, truth), where)
        add("entailment", audit_questions.entailment_faults(row, truth), where)
        add("premises", audit_questions.premise_faults(row, truth), where)
        add("asked", audit_questions.asked_faults(row, split, truth), where)
        add("holdout", self._leaks.ask(row, split), where)
        self.asked.add(row, split)

    def documents(self, train: Iterable[Row]) -> Iterator[Row]:
        """The training documents, each checked on its way through."""
        add, leaks = self._tally.add, self._leaks
        untold = {one for one in self._truth.table if self._truth.is_stated(one)}
        missing, complete = set(self.asked.needed), 0
        for number, row in enumerate(train, 1):
            add("ids", self._repeated(row))
            add("sentence ends", ends_faults(row), row["id"])
            add("stated", leaks.stated_faults(row), row["id"])
            add("verbatim leakage", leaks.verbatim_faults(row), row["id"])
            add("pair leakage", leaks.pair_faults(row), row["id"])
            add("holdout", leaks.holdout_faults(row), row["id"])
            untold.difference_update(row["facts"])
            if missing:
                missing.difference_update(row["facts"])
                complete = number
            yield row
        add("stated", (f"no document states {self._truth.table[one].fact}" for one in sorted(untold)))
        if missing:
            add("coverage", [f"{len(missing):,} facts that questions need are in no document"])
        elif complete != self._covered:
            add("coverage", [f"it takes {complete:,} documents to state all that is needed, not {self._covered:,}"])

    def added(self, row: Row) -> None:
        """An augmented document: well made, and true if it was made from the closure. It may say anything else."""
        self._tally.add("augmented", self._repeated(row))
        self._tally.add("augmented", ends_faults(row), row["id"])
        if row["kind"] == "closure":
            untrue = (f"its fact {one} does not follow" for one in row["facts"] if one not in self._truth.table)
            self._tally.add("augmented", untrue, row["id"])

    def _repeated(self, row: Row) -> Iterator[str]:
        if row["id"] in self._ids:
            yield f"row {row['id']} is there twice"
        self._ids.add(row["id"])

    def checks(self, documents: int, questions: int, facts: int) -> Iterator[Check]:
        """The results, once all has been read."""
        if not self._tally.faults("questions"):
            self._tally.add("asked", self._truth.status_faults(self.asked.golds))
        self._tally.add("gold positions", self.asked.positions.faults())
        rows = f"{documents + questions + facts:,} rows"
        groups = {
            rows: ("hashes", "ids"),
            f"{facts:,} facts": ("closure", "proofs"),
            f"{questions:,} questions": ("questions", "wording", "entailment", "premises", "asked"),
            self.asked.positions.words(): ("gold positions",),
            f"{documents:,} documents": ("stated", "sentence ends", "verbatim leakage", "pair leakage", "holdout"),
            f"{len(self.asked.needed):,} facts that questions need": ("coverage",),
        }
        for detail, members in groups.items():
            for name in members:
                yield self._tally.check(name, detail)


def _shallow(dataset: str, result: Baseline) -> Check:
    """The check of one learner on one kind of question."""
    at_chance = abs(result.accuracy - result.chance) <= LIMIT * result.clustered_error + 1e-9 or result.n < FEW
    reason = EXPECTED.get((dataset, result.kind, result.name))
    detail = f"{result.accuracy:.1%}, chance {result.chance:.1%}, z {result.z:+.1f}, {result.n:,} questions"
    passed = at_chance or reason is not None
    note = "" if at_chance or reason is None else f"; expected: {reason}"
    return Check(dataset, f"{result.name}, {result.kind}", passed, detail + note)
