"""Checks what the tables of questions say: form, wording, answers, premises, and where the answers stand.

Every check yields its faults in words.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from math import sqrt

from icl_bench.audit_facts import Truth
from icl_bench.schema import Fact
from icl_bench.shallow import Row, one_hop_apart

LIMIT_POSITIONS = 3.72
"""Standard deviations above which gold positions are not even: p = 1e-4."""
SAMPLE = 20_000
"""Test questions of a kind that shallow learners answer: enough for a standard error below 0.4 %."""


def question_faults(row: Row) -> Iterator[str]:
    """A question that is not well formed: what follows may only be checked if this yields nothing."""
    choices, right = len(row["choices"]), [*row["answer"], *row["weaker"]]
    if not row["answer"] or len(set(right)) < len(right) or not all(0 <= index < choices for index in right):
        yield f"answer {row['answer']} and weaker {row['weaker']} are not different choices out of {choices}"
        return
    if len(row["claims"]) != choices or None in map(Fact.parse, row["claims"]):
        yield f"claims {row['claims']} are not one `relation(subject, object)` for each choice"
    for column in ("choices", "claims"):
        if len(set(row[column])) < len(row[column]):
            yield f"{column} {row[column]} are not all different"


def gold(row: Row) -> list[Fact]:
    """The facts that the correct choices assert."""
    return [fact for index in row["answer"] if (fact := Fact.parse(row["claims"][index]))]


def wording_faults(row: Row, truth: Truth) -> Iterator[str]:
    """A text that is not the question and its first correct choice; choices that do not name what they claim."""
    text = f"{row['question']} {row['choices'][row['answer'][0]]}"
    if row["text"] != text:
        yield f"text is {row['text']!r}, not {text!r}"
    for choice, claim in zip(row["choices"], row["claims"], strict=True):
        if fact := Fact.parse(claim):
            for entity in truth.unnamed(fact, f"{row['question']} {choice}"):
                yield f"{choice!r} claims {claim}, but {entity!r} is not in the text"


def entailment_faults(row: Row, truth: Truth) -> Iterator[str]:
    """Correct choices that do not follow from what is stated, and wrong ones that do."""
    for index, claim in enumerate(row["claims"]):
        true = Fact.parse(claim) in truth.entailed
        if true != (index in row["answer"] or index in row["weaker"]):
            yield f"{claim} is {'entailed but not among' if true else 'not entailed but among'} the answers"


def premise_faults(row: Row, truth: Truth) -> Iterator[str]:
    """`facts` that are not stated, do not prove the answer, or hold more than that takes."""
    facts = frozenset(row["facts"])
    golds = gold(row)
    uses = truth.uses(row["facts"], golds)
    if row["hops"] != uses or len(facts) != len(row["facts"]):
        yield f"hops is {row['hops']}, but its facts are {len(facts)}" + (f", used {uses} times" if uses != len(facts) else "")
    unknown = sorted(one for one in facts if not truth.is_stated(one))
    if unknown:
        yield f"its fact {unknown[0]} is not stated"
        return
    for fact in golds:
        if fact not in truth.follows(facts):
            yield f"its facts do not prove {fact}"
        elif fact.id in truth.table and len(truth.table[fact.id].proof) < len(facts):
            yield f"its facts are {len(facts)}, but {len(truth.table[fact.id].proof)} prove {fact}"
    for one in sorted(facts) if len(facts) > 1 else ():
        if not truth.follows(facts - {one}).isdisjoint(golds):
            yield f"its fact {one} is not needed"


def asked_faults(row: Row, split: str, truth: Truth) -> Iterator[str]:
    """Test questions on what is stated, and validation questions on what is not."""
    golds = gold(row)
    if split == "validation":
        if truth.stated.isdisjoint(golds):
            yield f"a validation question asks for {golds[0]}, which is not stated"
        return
    for fact in golds:
        if fact in truth.stated:
            yield f"a test question asks for {fact}, which is stated"
        elif fact.id in truth.table and truth.table[fact.id].status != "asked":
            yield f"a test question asks for {fact}, whose status is {truth.table[fact.id].status!r}"


class Positions:
    """At which positions the correct choices stand."""

    def __init__(self) -> None:
        self._right: dict[int, Counter[int]] = defaultdict(Counter)
        self._variance: Counter[int] = Counter()

    def add(self, row: Row) -> None:
        """Count the answers of a question."""
        choices, answers = len(row["choices"]), len(row["answer"])
        self._right[choices].update(row["answer"])
        self._variance[choices] += answers * (choices - answers)

    def words(self) -> str:
        """The counts for each number of choices."""
        return "; ".join(
            f"{choices} choices: {', '.join(str(right[position]) for position in range(choices))}"
            for choices, right in sorted(self._right.items())
        )

    def faults(self) -> Iterator[str]:
        """Numbers of choices for which some positions are right too often."""
        for choices, z in self.z().items():
            if z > LIMIT_POSITIONS:
                yield f"{self.words()}: with {choices} choices z is {z:+.1f}"

    def z(self) -> dict[int, float]:
        """For each number of choices, how many standard deviations the counts are from even, by chi-square.

        It is Pearson's where every question has one answer, and scaled by the variance where some have more; made
        normal by Wilson and Hilferty (1931).
        """
        found = {}
        for choices, right in sorted(self._right.items()):
            variance, freedom = self._variance[choices] / choices**2, choices - 1
            if variance:
                expected = right.total() / choices
                square = sum((right[position] - expected) ** 2 for position in range(choices))
                spread = 2 / (9 * freedom)
                found[choices] = ((square / (choices * variance)) ** (1 / 3) - (1 - spread)) / sqrt(spread)
        return found


class Asked:
    """What is kept of the questions, which are read once."""

    def __init__(self) -> None:
        self.golds: set[Fact] = set()
        """Of the test questions."""
        self.needed: set[str] = set()
        """Ids of the facts that prove an answer."""
        self.positions = Positions()
        self._sample: dict[tuple[str, bool], list[Row]] = {}

    def add(self, row: Row, split: str) -> None:
        """Keep what is needed of a well-formed question."""
        self.positions.add(row)
        if split == "test":
            self.golds.update(gold(row))
            kept = self._sample.setdefault((row["kind"], row["hops"] == 1), [])
            if len(kept) < SAMPLE:
                kept.append(row)

    def shallow(self) -> list[Row]:
        """Test questions for shallow learners."""
        return one_hop_apart([row for rows in self._sample.values() for row in rows])
