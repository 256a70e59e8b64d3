"""The wordings of a world as keys: what a sentence must consist of, its entities apart, to say something.

    "{{ subject }} are a type of {{ object }}"   ->   ("\\x02", "are", "type", "of", "\\x02"): is_a(first mark, second mark)

`templates/augment/reading.yaml` says which words count, and what may stand before a statement or between two.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import NamedTuple

from icl_bench.errors import IclBenchError
from icl_bench.rendering import Marked, Template, formats, reading, statement_wordings, templates_folder, wordings_if_any
from icl_bench.schema import Relation, Repeated, World

PLACE = "\x02"
"""What stands for an entity in a key."""
MALFORMED = f"{PLACE}?"
"""What stands for something like an entity that cannot be read: no key has it."""
ARTICLES = ("the", "a", "an")
Words = tuple[str, ...]
_TOKEN = re.compile(r"\x02\w+\x03|\w+|[!<>=:~]=|[^\w\s]")
_COMPARISON = re.compile(r"[!<>=:~]=|[=<>≠≈≤≥~]")
_SLOT = re.compile(r"\x02(\w+)\x03")
_QUOTES = str.maketrans("‘’“”", "''\"\"")


class Key(NamedTuple):
    """What a wording says: the relation, and what each of its marks stands for."""

    relation: str
    slots: tuple[str, ...]


class Connectives(NamedTuple):
    """What `reading.yaml` says, the longest first."""

    ignored: frozenset[str]
    same: Mapping[str, str]
    lead_ins: tuple[Words, ...]
    joints: tuple[Words, ...]
    separators: tuple[Words, ...]
    """what stands between the members of a list"""


@cache
def connectives() -> Connectives:
    """The words that may stand around a statement without changing it."""
    words = reading()
    ignored, same = frozenset(words["ignored"]), dict(words["same"])

    def longest_first(lines: Iterable[Words]) -> tuple[Words, ...]:
        return tuple(sorted(set(lines), key=lambda line: (-len(line), line)))

    return Connectives(
        ignored,
        same,
        lead_ins=longest_first(_plain(tokenize(line), ignored, same) for line in words["lead_ins"]),
        joints=longest_first(tuple(tokenize(line)) for line in words["joints"]),
        separators=longest_first(tuple(tokenize(line)) for line in words["list"]),
    )


def tokenize(text: str) -> list[str]:
    """Words and punctuation marks in lower case; slots are words."""
    return _TOKEN.findall(text.translate(_QUOTES).casefold())


def _plain(words: Iterable[str], ignored: frozenset[str], same: Mapping[str, str]) -> Words:
    """Words without punctuation, articles, number and tense: what keys are made of. A sign that compares is a word."""
    kept = (
        same.get(word, word)
        for word in words
        if word not in ignored and (word[0].isalnum() or word[0] == PLACE or _COMPARISON.fullmatch(word))
    )
    return tuple(word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in kept)


def plain(words: Iterable[str]) -> Words:
    """The words that count, in their plain form.

    >>> plain(["the", "group", "of", "gruds", "contains", ","])
    ('group', 'of', 'grud', 'contain')
    """
    return _plain(words, connectives().ignored, connectives().same)


def keys_of(world: World) -> dict[Words, list[Key]]:
    """Every wording of every relation, without the entities -> what it says."""
    found: dict[Words, list[Key]] = defaultdict(list)
    for relation in world.relations.values():
        marked = Marked(relation.forms)
        for text in _texts(world, relation, marked):
            slots = tuple(_SLOT.findall(text.casefold()))
            if set(slots) == {"subject", "object"}:
                words = plain(PLACE if _SLOT.fullmatch(word) else word for word in tokenize(text))
                key = Key(relation.name, slots)
                if key not in found[words]:
                    found[words].append(key)
    if not found:
        raise IclBenchError(f"{world.name}: no template words a fact, so that its sentences cannot be read back")
    return dict(found)


def _texts(world: World, relation: Relation, marked: Marked) -> Iterator[str]:
    for name in _documents(world, relation):
        for (line,) in wordings_if_any(world.name, name):
            yield line.fill(marked)
    for line in statement_wordings(world, relation):
        yield line.fill(marked)
    for (line,) in wordings_if_any(world.name, f"readings/{relation.wording}"):
        yield line.fill(marked)
    for ask in world.asks:
        for parts in wordings_if_any(world.name, f"questions/{ask.templates.format(wording=relation.wording)}"):
            yield " ".join(part.fill(marked) for part in parts)


def _documents(world: World, relation: Relation) -> list[str]:
    """The files of wordings of documents, or of their sentences, that may state a fact of a relation."""
    if isinstance(world.telling, Repeated):
        return [world.telling.templates.format(wording=relation.wording)]
    lines = (line for bundle in world.bundles for line in bundle.script)
    return sorted({f"documents/{line.template}" for line in lines if relation.name in (fact.relation for fact in line.facts)})


def frames(world: World) -> Iterator[Words]:
    """What stands before a statement in the documents: "did you know that", "i wrote down"."""
    templates = [line[0] for line in wordings_if_any(world.name, "documents")]
    if (templates_folder() / world.name / "formats.yaml").is_file():
        templates += [item for entry in formats(world.name) for item in entry["items"]]
    for template in templates:
        before, slot = _before_statement(template)
        words = plain(tokenize(before))
        if slot in ("statement_1", "sentence") and words:
            yield words


def _before_statement(template: Template) -> tuple[str, str]:
    """The text up to the first slot, and that slot."""
    parts = _SLOT.split(template.fill(Marked()), maxsplit=1)
    return (parts[0], parts[1].casefold()) if len(parts) > 1 else ("", "")
