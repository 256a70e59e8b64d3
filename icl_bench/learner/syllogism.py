"""What is read of a `syllogism` world: pairs of premises, then what they say and what follows from them.

    Consider glon, troff and yomp. All glon are yomp. All troff are glon.

    The relationships between yomp and troff are: All troff are yomp.

Of two equivalent conclusions ("no A are B", "no B are A") one is written, at random.
"""

from __future__ import annotations

from icl_bench.closure import Closure
from icl_bench.learner.text import (
    DECIDES,
    FUNCTION,
    IN_DOCUMENT,
    NAME,
    OTHER,
    Encoder,
    Slot,
    Tokens,
    made,
    open_template,
)
from icl_bench.rendering import wordings
from icl_bench.schema import Fact
from icl_bench.streams import Stream
from icl_bench.worlds.syllogism import FORMS, RELATIONS, RULES, premises, six_statements

QUANTIFIER, SUBJECT = 5, 6
"""Measures: is the quantifier of a conclusion right, and the term after it."""


def sequence(encoder: Encoder, draws: Stream, names: list[str], count: int, reversals: float, repeats: int) -> Tokens:
    """Documents of `count` syllogisms, and queries; the arguments are those of a reversal sequence.

    Args:
        names: to choose from, at least three for each.
        reversals: the share of queries that ask for the conclusion, not for a premise.
        repeats: documents of each.
    """
    chosen = draws.sample(names, 3 * count)
    tokens = Tokens(encoder)
    pairs = []
    for i in range(count):
        terms = chosen[3 * i : 3 * i + 3]
        pairs.append((terms, premises(draws.choice(FORMS), *terms)))
    for terms, facts in draws.shuffled(pairs * repeats):
        _tell(tokens, draws, terms, draws.shuffled(facts))
    for (subject, _, predicate), facts in draws.shuffled(pairs * (2 if count <= 4 else 1)):
        if draws.below(1000) < 1000 * reversals:
            closure = Closure(facts, RULES)
            entailed = [fact for fact in six_statements(subject, predicate) if fact in closure]
            most = max(RELATIONS[fact.relation].strength for fact in entailed)
            strongest = [fact for fact in entailed if RELATIONS[fact.relation].strength == most]
            _ask(tokens, draws, draws.choice(strongest), conclusion=True)
        else:
            _ask(tokens, draws, draws.choice(facts), conclusion=False)
    return tokens


def _statement(relation: str, number: str) -> str:
    template = wordings("syllogism", f"statements/{relation}")[0][0]
    return open_template(template, {"subject": f"{{{{ subject{number} }}}}", "object": f"{{{{ object{number} }}}}"})


def _tell(tokens: Tokens, draws: Stream, terms: list[str], facts: list[Fact]) -> None:
    frame = draws.choice(wordings("syllogism", "documents"))[0]
    inner = {f"statement_{i}": _statement(fact.relation, str(i)) for i, fact in enumerate(facts, 1)}
    slots = {f"term_{i}": Slot(term, IN_DOCUMENT) for i, term in enumerate(draws.shuffled(terms), 1)}
    for i, fact in enumerate(facts, 1):
        slots |= {f"subject{i}": Slot(fact.subject, IN_DOCUMENT), f"object{i}": Slot(fact.object, IN_DOCUMENT)}
    tokens.write(made(open_template(frame, inner | {"stop": ""})), slots, IN_DOCUMENT)


def _ask(tokens: Tokens, draws: Stream, fact: Fact, conclusion: bool) -> None:
    prompt = draws.choice(wordings("syllogism", "questions/relationships"))[0]
    answer = _statement(fact.relation, "").replace(fact.relation, "{{ quantifier }}", 1)
    first, second = draws.shuffled((fact.subject, fact.object))
    slots = {
        "term_1": Slot(first, OTHER),
        "term_2": Slot(second, OTHER),
        "quantifier": Slot(fact.relation, DECIDES, None, None, QUANTIFIER * conclusion),
        "subject": Slot(fact.subject, NAME, DECIDES, None, SUBJECT * conclusion),
        "object": Slot(fact.object, OTHER),
    }
    tokens.write(made(f"{open_template(prompt)} {answer}."), slots, FUNCTION)
