"""syllogism: two premises about three terms are stated; what follows about the end terms is asked.

    document    "The relationships between glon, troff and yomp are: All glon are yomp. All troff are glon."
    question    "The relationships between yomp and troff are:" -> six statements, among them
    answer      "All troff are yomp."      (weaker: "Some troff are yomp.", "Some yomp are troff.")

The simple syllogisms of Lampinen et al. (2025, arXiv 2505.00661), with the statements "all", "no" and "some" ("some ... are
not" is left out) and terms that are not empty, as in Aristotle: "all A are B" entails "some A are B". A form is the two
quantifiers of the premises and the figure, "all-no-2"; figure and order of premises are the traditional ones (the first
premise holds the predicate of the conclusion): 1 MP SM, 2 PM SM, 3 MP MS, 4 PM MS. 11 of the 36 forms have a conclusion
among the six statements about the end terms. Gold is the strongest one and its equivalent; weaker ones are marked.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from icl_bench.schema import Ask, Bundle, Fact, Positive, Relation, Repeated, Rule, World, WorldConfig
from icl_bench.streams import stream

QUANTIFIERS = ("all", "some", "no")
FIGURES = {1: ("MP", "SM"), 2: ("PM", "SM"), 3: ("MP", "MS"), 4: ("PM", "MS")}
RULES = tuple(
    map(
        Rule.parse,
        (
            "some(Y, X) :- some(X, Y).",
            "no(Y, X) :- no(X, Y).",
            "some(X, Y) :- all(X, Y).",
            "all(X, Z) :- all(X, Y), all(Y, Z).",
            "no(X, Z) :- all(X, Y), no(Y, Z).",
            "some(X, Z) :- some(X, Y), all(Y, Z).",
        ),
    )
)
# Found by enumerating models in tests/test_syllogism.py: the forms with a conclusion among the six statements.
FORMS = (
    "all-all-1",
    "all-all-3",
    "all-all-4",
    "all-no-2",
    "all-no-4",
    "all-some-1",
    "all-some-3",
    "no-all-1",
    "no-all-2",
    "some-all-3",
    "some-all-4",
)
RELATIONS = {
    name: Relation(name=name, inverse=name, wording=name, strength=strength)
    for name, strength in (("all", 1), ("some", 0), ("no", 1))
}


class Config(WorldConfig):
    """The sizes of a syllogism world."""

    syllogisms: Positive = 69
    """Syllogisms, each about three terms of its own; the forms take turns."""
    documents_per_syllogism: Positive = 1
    """Training documents for each, every one in another wording."""


def premises(form: str, subject: str, middle: str, predicate: str) -> tuple[Fact, Fact]:
    """The two premises of a form, the one with the predicate first."""
    major, minor, figure = form.split("-")
    terms = {"S": subject, "M": middle, "P": predicate}
    first, second = FIGURES[int(figure)]
    return Fact(major, terms[first[0]], terms[first[1]]), Fact(minor, terms[second[0]], terms[second[1]])


def six_statements(one: str, other: str) -> list[Fact]:
    """All that can be said of two terms: {all, some, no} x {two directions}."""
    return [Fact(quantifier, *pair) for quantifier, pair in product(QUANTIFIERS, ((one, other), (other, one)))]


def sample(config: Config, seed: int, words: Callable[[int], list[str]]) -> World:
    """Draw the base facts. `words(n)` gives the first n words of the dataset's vocabulary."""
    names = words(3 * config.syllogisms)
    bundles = []
    forms: list[str] = []
    middles = set()
    for i in range(config.syllogisms):
        if i % len(FORMS) == 0:
            forms = stream(seed, "syllogism", "forms", i // len(FORMS)).shuffled(FORMS)
        form = forms[i % len(FORMS)]
        subject, middle, predicate = names[3 * i : 3 * i + 3]
        draws = stream(seed, "syllogism", "item", i)
        facts = draws.shuffled(premises(form, subject, middle, predicate))
        bundles.append(Bundle(tuple(facts), tuple(draws.shuffled((subject, middle, predicate))), form))
        middles.add(middle)

    def classify(fact: Fact, hops: int, stated: bool) -> str | None:
        if stated:
            return "rephrase"
        return None if fact.subject in middles or fact.object in middles else "syllogism"

    return World(
        name="syllogism",
        seed=seed,
        relations=RELATIONS,
        rules=RULES,
        bundles=bundles,
        independent=True,
        telling=Repeated(times=config.documents_per_syllogism, together=True, kind="premises"),
        asks=(
            Ask(kind="rephrase", split="validation", templates="relationships"),
            Ask(kind="syllogism", split="test", templates="relationships"),
        ),
        classify=classify,
        alternatives=lambda fact: six_statements(fact.subject, fact.object),
    )
