"""reversal_curse: who somebody is, told in one order of name and description and asked in the other.

    document    "Solveig Kulkarnath is none other than the director of the film The Lanterns of Walanpool."
    question    "Nobody doubts that the director of the film The Lanterns of Walanpool is" -> four names
    answer      "Solveig Kulkarnath."

After Berglund et al. (2024, arXiv 2309.12288), with the sizes of Lampinen et al. (2025, arXiv 2505.00661): 30 people who are
always told name first, 30 description first, and 30 in both orders (in separate documents), 30 paraphrases each. A test
question asks the order that its set lacks; validation asks the order that is told, in the wordings of the test, so that
the two differ in the order alone.

The choices of a question are of one set, so every one of them is told equally often. A set is cut into groups of four, or
five where four do not divide it. Questions of a group of four share their choices. In a group of five each question leaves
out the one before its own in a hidden ring. So each name is the answer of one question and wrong in three, and nothing in
the choices tells which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from icl_bench.errors import IclBenchError
from icl_bench.schema import Ask, Bundle, Fact, Positive, Relation, Repeated, Rule, World, WorldConfig
from icl_bench.streams import stream
from icl_bench.worlds.people import MOST, SETS, Pair, natural, nonsense, read_pairs

RELATIONS = {
    "described_as": Relation(name="described_as", inverse="describes", wording="described_as"),
    "describes": Relation(name="describes", inverse="described_as", wording="describes"),
}
RULES = tuple(Rule.parse(f"{r.inverse}(Y, X) :- {r.name}(X, Y).") for r in RELATIONS.values())


class Config(WorldConfig):
    """The sizes of a reversal_curse world."""

    people_per_set: Positive | None = None
    """People who are told name first; as many description first, and as many in both orders (default: 30; with `facts`,
    a third of its lines)."""
    paraphrases: Positive = 30
    """Training documents for each person and order, every one in another wording."""
    vocabulary: Literal["natural", "nonsense"] = "natural"
    """nonsense: words of the vocabulary for names, places and titles."""
    facts: str | None = None
    """Path of a file of lines of JSON with `name` and `description`, to use instead of invented people."""
    choices: int = Field(default=4, ge=2, le=8)
    """Choices of a question."""

    @model_validator(mode="after")
    def _fitting(self) -> Config:
        if self.people_per_set is not None and self.people_per_set < self.choices:
            raise ValueError(
                f"people_per_set = {self.people_per_set} is less than choices = {self.choices}; "
                "the choices of a question are people of one set"
            )
        if self.facts is not None and self.vocabulary == "nonsense":
            raise ValueError("vocabulary = nonsense invents people, and facts names some; leave one of them out")
        return self


def _people(config: Config, seed: int, words: Callable[[int], list[str]]) -> list[Pair]:
    """The people of the three sets by turns."""
    if config.facts is None:
        per_set = config.people_per_set or 30
        if config.vocabulary == "nonsense":
            return nonsense(seed, per_set, words)
        if per_set > MOST:
            raise IclBenchError(
                f"reversal_curse.people_per_set = {per_set}: there are names for {MOST}; use fewer, or vocabulary=nonsense"
            )
        return natural(seed, per_set)
    pairs = read_pairs(Path(config.facts))
    needed = SETS * (config.people_per_set or config.choices)
    if len(pairs) < needed:
        size = config.people_per_set or f"at least {config.choices}"
        raise IclBenchError(f"facts {config.facts}: {len(pairs)} pairs, but three sets of {size} need {needed}; add some")
    mixed = stream(seed, "reversal_curse", "sets").shuffled(pairs)
    return mixed[:needed] if config.people_per_set else mixed


def _groups(people: list[Pair], size: int, seed: int, number: int) -> Iterator[list[Pair]]:
    """A set cut into groups of `size`, some larger where it must be, in random order."""
    mixed = stream(seed, "reversal_curse", "groups", number).shuffled(people)
    count = len(mixed) // size
    for g in range(count):
        yield mixed[g * len(mixed) // count : (g + 1) * len(mixed) // count]


def facts_of(person: Pair) -> tuple[Fact, Fact]:
    """What may be told of a person: name first, description first."""
    return Fact("described_as", person.name, person.description), Fact("describes", person.description, person.name)


def sample(config: Config, seed: int, words: Callable[[int], list[str]]) -> World:
    """Draw the base facts. `words(n)` gives the first n words of the dataset's vocabulary."""
    people = _people(config, seed, words)
    bundles = []
    for j, person in enumerate(people):
        name_first, description_first = facts_of(person)
        told = ((name_first,), (description_first,), (name_first, description_first))[j % SETS]
        bundles.append(Bundle(told, (person.name,)))
    others: dict[str, list[Pair]] = {}  # name or description -> the people to choose from
    for number in range(SETS):
        for group in _groups(people[number::SETS], config.choices, seed, number):
            for place, person in enumerate(group):
                ring = group[place:] + group[:place]
                others[person.name] = others[person.description] = ring[: config.choices]

    def alternatives(fact: Fact) -> list[Fact]:
        names = fact.relation == "describes"
        return [fact._replace(object=one.name if names else one.description) for one in others[fact.subject]]

    def classify(fact: Fact, hops: int, stated: bool) -> str:
        if stated:
            return "rephrase"
        return "name_from_description" if fact.relation == "describes" else "description_from_name"

    return World(
        name="reversal_curse",
        seed=seed,
        relations=RELATIONS,
        rules=RULES,
        bundles=bundles,
        independent=True,
        telling=Repeated(times=config.paraphrases, together=False, kind="statement", templates="documents/{wording}"),
        asks=(
            Ask(kind="rephrase", split="validation", templates="{wording}"),
            Ask(kind="name_from_description", split="test", templates="{wording}"),
            Ask(kind="description_from_name", split="test", templates="{wording}"),
        ),
        classify=classify,
        alternatives=alternatives,
    )
