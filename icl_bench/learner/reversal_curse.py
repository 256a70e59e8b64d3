"""What is read of a `reversal_curse` world: who people are, then the same asked for in either order.

    Useld Eplob is known to many as the breeder of the Nesab apple.

    Nobody doubts that the breeder of the Nesab apple is Useld Eplob.

Each person is told in one order, and both orders are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from icl_bench.learner.text import DECIDES, FUNCTION, IN_DOCUMENT, NAME, OTHER, Encoder, Slot, Tokens, made, open_template
from icl_bench.rendering import wordings
from icl_bench.streams import Stream
from icl_bench.worlds.people import Pair

TOLD_ORDER, OTHER_ORDER = 7, 8
"""Measures: is the answer right, asked for in the order of the document or the other."""
_ORDERS = ("described_as", "describes")


def sequence(encoder: Encoder, draws: Stream, people: Sequence[Pair], count: int, reversals: float, repeats: int) -> Tokens:
    """Documents on `count` people, and queries; the arguments are those of a reversal sequence."""
    chosen = [(person, draws.below(2)) for person in draws.sample(people, count)]
    tokens = Tokens(encoder)
    for person, order in draws.shuffled(chosen * repeats):
        template = draws.choice(wordings("reversal_curse", f"documents/{_ORDERS[order]}"))[0]
        subject, object_ = _ends(person, order)
        slots = {"subject": Slot(subject, IN_DOCUMENT), "object": Slot(object_, IN_DOCUMENT)}
        tokens.write(made(open_template(template)), slots, IN_DOCUMENT)
    for person, order in draws.shuffled(chosen * (2 if count <= 4 else 1)):
        backwards = draws.below(1000) < 1000 * reversals
        asked = 1 - order if backwards else order
        parts = draws.choice(wordings("reversal_curse", f"questions/{_ORDERS[asked]}"))
        subject, object_ = _ends(person, asked)
        slots = {
            "subject": Slot(subject, OTHER),
            "object": Slot(object_, NAME, DECIDES, None, OTHER_ORDER if backwards else TOLD_ORDER),
        }
        tokens.write(made(" ".join(map(open_template, parts))), slots, FUNCTION)
    return tokens


def _ends(person: Pair, order: int) -> tuple[str, str]:
    """Subject and object: name first (0) or description first (1)."""
    return (person.description, person.name) if order else (person.name, person.description)
