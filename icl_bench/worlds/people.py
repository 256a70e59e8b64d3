"""Names and descriptions for reversal_curse: invented from `people.yaml`, or read from a user's file.

    Solveig Kulkarnath    the director of the film The Lanterns of Walanpool

A first name and a last name are of two different origins, and most last names are rare or made up: no well-known person
has such a name. In a world no last name, place or first name of one origin and sex is used twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from icl_bench.errors import IclBenchError
from icl_bench.streams import stream

SETS = 3
MOST = 50
"""People in a set, as many as there are names for."""
_WORDS = 4  # of the vocabulary, for a person with a nonsense name


class Pair(NamedTuple):
    """A person and a description that is true of no one else."""

    name: str
    description: str


@cache
def sources() -> dict[str, Any]:
    """The lists of `people.yaml`."""
    loaded: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("people.yaml").read_text(encoding="utf-8"))
    return loaded


def natural(seed: int, per_set: int) -> list[Pair]:
    """People for three sets by turns: the first of each set, then the second of each, and so on.

    Each set has as many women as men and as many people of each origin as can be, and all kinds of achievement before one
    comes again. Neighbouring seeds share no last name and no place.

    Args:
        per_set: at most MOST.
    """
    half = slice(seed % 2, None, 2)

    def mixed(items: list[str], *names: str | int) -> Iterator[str]:
        return iter(stream(seed, "reversal_curse", *names).shuffled(items))

    found = sources()
    origins = list(found["origins"])
    first = {(o, sex): mixed(found["origins"][o][sex], "first", o, sex) for o in origins for sex in ("women", "men")}
    last = {o: mixed(found["origins"][o]["last"][half], "last", o) for o in origins}
    places = mixed(found["places"][half], "places")
    nouns = cycle(mixed(found["nouns"], "nouns"))
    orders = [list(mixed(origins, "origins", s)) for s in range(SETS)]
    kinds = [list(mixed(found["achievements"], "achievements", s)) for s in range(SETS)]
    people = []
    for i in range(per_set):
        for s, order in enumerate(orders):
            turn, place_in_turn = divmod(i, len(order))
            away = 1 + (turn + s) % (len(order) - 1)
            sex = ("women", "men")[(place_in_turn + turn + s) % 2]
            name = f"{next(first[order[place_in_turn], sex])} {next(last[order[(place_in_turn + away) % len(order)]])}"
            kind, place = kinds[s][i % len(kinds[s])], next(places)
            title = f"The {next(nouns)} of {place}" if "{title}" in kind else ""
            people.append(Pair(name, kind.format(place=place, title=title)))
    return people


def nonsense(seed: int, per_set: int, words: Callable[[int], list[str]]) -> list[Pair]:
    """The same with words of the vocabulary for names, places and titles."""
    taken = [word.capitalize() for word in words(_WORDS * SETS * per_set)]
    kinds = [stream(seed, "reversal_curse", "achievements", s).shuffled(sources()["achievements"]) for s in range(SETS)]
    people = []
    for j in range(SETS * per_set):
        first, last, place, other = taken[_WORDS * j : _WORDS * (j + 1)]
        kind = kinds[j % SETS][j // SETS % len(kinds[0])]
        people.append(Pair(f"{first} {last}", kind.format(place=place, title=f"{place} {other}")))
    return people


def read_pairs(path: Path) -> list[Pair]:
    """A user's own pairs: a file of lines of JSON, each with a `name` and a `description`; other columns are ignored.

    A full stop at the end of a description is left out. Every name and every description must be there once, and none
    may stand inside another: it would be asked about and told of at once.

    Raises:
        IclBenchError: the file cannot be read, or a line does not fit; the message says which and why.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise IclBenchError(f"facts {path}: cannot be read ({error}); give the path of a file of lines of JSON") from None
    pairs: list[Pair] = []
    entities: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        pairs.append(_pair(f"facts {path}, line {number}", line))
        for text in pairs[-1]:
            key = _plain(text)
            if key in entities:
                raise IclBenchError(f"facts {path}, line {number}: {text!r} is in line {entities[key]} too; each must be unique")
            entities[key] = number
    for key, number in entities.items():
        for part in _parts(key):
            if part in entities:
                inner, outer = " ".join(part), " ".join(key)
                raise IclBenchError(f"facts {path}, line {number}: {outer!r} holds {inner!r} of line {entities[part]}; reword it")
    return pairs


def _pair(where: str, line: str) -> Pair:
    try:
        row = json.loads(line)
    except ValueError:
        raise IclBenchError(f"{where}: not JSON: {line[:60]!r}; write {{'name': ..., 'description': ...}}") from None
    if not isinstance(row, dict) or not {"name", "description"} <= row.keys():
        raise IclBenchError(f"{where}: must be a mapping with 'name' and 'description', not {line[:60]!r}")
    found = []
    for column in Pair._fields:
        value = row[column]
        text = " ".join(value.split()).removesuffix(".") if isinstance(value, str) else ""
        if not _plain(text) or not text.isprintable():
            raise IclBenchError(f"{where}: {column} must be a text with a word in it, not {value!r}")
        found.append(text)
    return Pair(*found)


def _plain(text: str) -> tuple[str, ...]:
    """The words of a text in lower case, without punctuation."""
    return tuple("".join(c if c.isalnum() or c == "_" else " " for c in text.lower()).split())


def _parts(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """All words in a row of a text, but not the whole text."""
    for start in range(len(words)):
        for end in range(start + 1, len(words) + 1):
            if end - start < len(words):
                yield words[start:end]
