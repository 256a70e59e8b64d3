"""Templates to tokens, with a weight for every token and marks on the ones that show whether something was learned.

    It turns out that ▁j ##it are brighter than ▁ug ##elk.      a document: each token weighs little
    ▁ug ##elk are less bright than ▁j ##it.                     a query: `less` weighs most, then ▁j ##it

What is written is exactly what the tokenizer makes of the whole text (`tests/test_learner.py` compares them).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from icl_bench.rendering import STOP, Template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

IN_DOCUMENT, FUNCTION, OTHER, NAME, DECIDES = 0.1, 0.2, 1.0, 2.0, 3.0
"""Weights in the loss: all of a document; in a query the words of the template, what is not listed here, the name that is
asked for, and the word that decides which way round the fact is."""
BREAK = "\n\n"


class Slot(NamedTuple):
    """What fills a slot of a template."""

    text: str
    weight: float = OTHER
    """weight of its tokens in the loss"""
    first: float | None = None
    """weight of its first token, if it is another one"""
    rival: str | None = None
    """a text whose first token would be wrong in the place of its own"""
    group: int = 0
    """which measure its tokens count for (0: none)"""


class Tokens:
    """A sequence that grows."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.ids: list[int] = []
        self.weights: list[float] = []
        self.marks: list[tuple[int, int, int | None]] = []
        """(place, group, id of the wrong token or None)"""

    def __len__(self) -> int:
        return len(self.ids)

    def write(self, template: Template, slots: Mapping[str, Slot], literal: float) -> None:
        """Add a filled template on a line of its own.

        Args:
            literal: the weight of the words that the template writes itself.
        """
        if self.ids:
            self._add(self._encoder.line_break, literal)
        for part in literals_and_slots(template):
            slot = slots.get(part[1:]) if part[0] == "\x02" else None
            if slot is None:
                self._add(self._encoder(part), literal)
                continue
            ids, start = self._encoder(slot.text), len(self.ids)
            self._add(ids, slot.weight)
            if slot.first is not None:
                self.weights[start] = slot.first
            if slot.rival is not None:
                self.marks.append((start, slot.group, self._encoder(slot.rival)[0]))
            elif slot.group:
                self.marks.extend((place, slot.group, None) for place in range(start, len(self.ids)))

    def _add(self, ids: tuple[int, ...], weight: float) -> None:
        self.ids.extend(ids)
        self.weights.extend([weight] * len(ids))


class Encoder:
    """The tokens of pieces of text, each piece only once."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, tuple[int, ...]] = {}
        self.line_break: tuple[int, ...] = self("a" + BREAK)[1:2]

    def __call__(self, text: str) -> tuple[int, ...]:
        """The tokens of a text that stands after a space, or, if it starts with a mark such as a comma, after a word."""
        if (known := self._known.get(text)) is None:
            bare = text.strip(" ")
            after_word = not text.startswith(" ") and not bare[:1].isalnum()
            ids = self._tokenizer("a" + bare if after_word else bare)["input_ids"]
            known = self._known[text] = tuple(ids[1:] if after_word else ids)
            if len(self._known) > 50_000:
                self._known.clear()
        return known


def open_template(template: Template, names: Mapping[str, str] | None = None) -> str:
    """The source of a template, to be put into another; `names` gives slots other names or other sources."""
    names = names or {}
    return template.fill({slot: names.get(slot.lower(), f"{{{{ {slot.lower()} }}}}") for slot in template.slots})


@cache
def made(source: str) -> Template:
    """The template of a source, only once."""
    return Template(source.replace(STOP, ""))


@cache
def literals_and_slots(template: Template) -> tuple[str, ...]:
    """A template in parts: what it writes itself, and names of slots behind `\\x02`."""
    marked = template.fill({slot: f"\x03\x02{slot.lower()}\x03" for slot in template.slots})
    return tuple(part for part in re.split("\x03", marked) if part.strip(" "))
