"""What is read of a `reversal` world: documents, then the same facts asked for, forward and reversed.

    It turns out that jitig are brighter than ugelk.

    As every child learns, moant are less sweet than plirl.

    ugelk are less bright than jitig.

    Everyone in the village knows that moant are less sweet than plirl.

Every fact has a pair of names of its own, as in the benchmark.
"""

from __future__ import annotations

from typing import NamedTuple

from icl_bench.learner.text import DECIDES, FUNCTION, IN_DOCUMENT, NAME, OTHER, Encoder, Slot, Tokens, made, open_template
from icl_bench.rendering import Template, wordings
from icl_bench.streams import Stream
from icl_bench.worlds.reversal import FEATURES

FEATURE_COUNTS = (1, 2, 4, 28, 28)
"""Of how many features a world is: with many, a fact is found by its feature, and the names are never learned."""
FORWARD, REVERSED, NAME_FORWARD, NAME_REVERSED = 1, 2, 3, 4
"""Measures: does the comparative point the right way; is the other name right."""
_DEGREES = ("more", "less")


class Comparison(NamedTuple):
    """A fact: subject and object, and the comparative either way."""

    subject: str
    object: str
    relation: str
    inverse: str

    def reversed(self) -> Comparison:
        """The same, told from the other side."""
        return Comparison(self.object, self.subject, self.inverse, self.relation)


def facts_of(draws: Stream, names: list[str], count: int) -> list[Comparison]:
    """Facts on pairs of names of their own."""
    features = draws.sample(list(FEATURES), draws.choice(FEATURE_COUNTS))
    chosen = draws.sample(names, 2 * count)
    found = []
    for i in range(count):
        phrases = FEATURES[draws.choice(features)]
        degree = draws.below(2)
        found.append(Comparison(chosen[2 * i], chosen[2 * i + 1], phrases[degree], phrases[1 - degree]))
    return found


def queries_each(count: int) -> int:
    """How often each of so many facts is asked for."""
    return 3 if count <= 4 else 2 if count <= 8 else 1


def sequence(encoder: Encoder, draws: Stream, names: list[str], count: int, reversals: float, repeats: int) -> Tokens:
    """Documents of `count` facts, and queries.

    Args:
        names: to choose from, at least two for each fact.
        reversals: the share of queries that ask for the other direction.
        repeats: documents of each fact.
    """
    facts = facts_of(draws, names, count)
    tokens = Tokens(encoder)
    statement = wordings("reversal", "statements/comparison")[0][0]
    documents = [line[0] for line in wordings("reversal", "documents")]
    for fact in draws.shuffled(facts * repeats):
        _tell(tokens, draws.choice(documents), statement, fact)
    for fact in draws.shuffled(facts * queries_each(count)):
        backwards = draws.below(1000) < 1000 * reversals
        _ask(tokens, draws, fact.reversed() if backwards else fact, backwards)
    return tokens


def _tell(tokens: Tokens, frame: Template, statement: Template, fact: Comparison) -> None:
    slots = {
        "subject": Slot(fact.subject, IN_DOCUMENT),
        "relation": Slot(fact.relation, IN_DOCUMENT),
        "object": Slot(fact.object, IN_DOCUMENT),
    }
    tokens.write(made(open_template(frame, {"statement_1": open_template(statement)})), slots, IN_DOCUMENT)


def _ask(tokens: Tokens, draws: Stream, fact: Comparison, backwards: bool) -> None:
    """Half of the queries are bare, as test questions are."""
    kind = draws.below(10)
    if kind < 5:
        source = _question("reversal", 0)
    elif kind < 8:
        source = _question("rephrase", draws.below(len(wordings("reversal", "questions/rephrase"))))
    else:
        others = [*wordings("reversal", "statements/comparison"), *wordings("reversal", "readings/comparison")]
        source = open_template(draws.choice(others)[0]) + "."
    slots = {
        "subject": Slot(fact.subject, OTHER),
        "relation": Slot(fact.relation, OTHER, DECIDES, fact.inverse, REVERSED if backwards else FORWARD),
        "object": Slot(fact.object, NAME, None, None, NAME_REVERSED if backwards else NAME_FORWARD),
    }
    tokens.write(made(source), slots, FUNCTION)


def _question(name: str, line: int) -> str:
    """A question and its answer as one source."""
    return " ".join(open_template(part) for part in wordings("reversal", f"questions/{name}")[line])
