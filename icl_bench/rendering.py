"""Templates to text. The only importer of jinja2; no randomness, no logic beyond filling in.

A template holds wording alone: `{{ subject }} are a type of {{ object }}`. Each is rendered by jinja2 once, to check it
and to find its slots, and filled by `str.format_map` ever after: a million documents need no million renderings.

Wordings of one kind stand in one file, one a line; lines that start with `#` are comments. ` ||| ` separates the parts of
a wording (a prompt and its answer), `{{ stop }}` marks the end of a sentence inside a wording.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import jinja2.nodes
import yaml

from icl_bench.errors import IclBenchError
from icl_bench.schema import Fact, Relation, World

STOP = "\x01"
SEPARATOR = " ||| "
_ENVIRONMENT = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)


def templates_folder() -> Path:
    """Where the templates are: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "templates"


class Template:
    """A wording with slots."""

    def __init__(self, source: str) -> None:
        """Check the source.

        Raises:
            IclBenchError: it is not valid, or holds more than slots.
        """
        try:
            tree = _ENVIRONMENT.parse(source)
        except jinja2.TemplateSyntaxError as error:
            raise IclBenchError(f"template {source!r}: {error.message}; a slot is written {{{{ name }}}}") from None
        allowed = (jinja2.nodes.Output, jinja2.nodes.Name, jinja2.nodes.TemplateData)
        logic = [node for node in tree.find_all(jinja2.nodes.Node) if not isinstance(node, allowed)]
        if logic:
            raise IclBenchError(f"template {source!r} holds {type(logic[0]).__name__}; only slots {{{{ name }}}} fit")
        self.slots = frozenset(node.name for node in tree.find_all(jinja2.nodes.Name))
        marked = _ENVIRONMENT.from_string(source).render({slot: f"\x02{slot}\x03" for slot in self.slots})
        marked = marked.replace("{", "{{").replace("}", "}}").replace("\x02", "{").replace("\x03", "}")
        self._format = marked.format_map

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with every slot filled; values that have no slot are ignored.

        Raises:
            KeyError: a slot has no value.
        """
        return self._format(values)


@cache
def wordings(world: str, name: str) -> tuple[tuple[Template, ...], ...]:
    """The wordings in `templates/<world>/<name>.txt`: for each, the templates of its parts."""
    lines = (templates_folder() / world / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return tuple(tuple(Template(part) for part in line.split(SEPARATOR)) for line in lines if line and not line.startswith("#"))


@cache
def formats(world: str) -> tuple[Mapping[str, Any], ...]:
    """The document formats in `templates/<world>/formats.yaml`, their wordings as templates."""
    entries = yaml.safe_load((templates_folder() / world / "formats.yaml").read_text(encoding="utf-8"))
    return tuple(
        {
            **entry,
            "opening": Template(entry["opening"]),
            "items": tuple(Template(item) for item in entry["items"]),
            "closing": Template(entry["closing"]),
        }
        for entry in entries
    )


def capitalised(text: str) -> str:
    """The text with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]


class Values(dict[str, str]):
    """Values for slots. `Subject` is made from `subject` when a wording asks for it, and so for every name."""

    def __missing__(self, slot: str) -> str:
        if not slot[:1].isupper():
            raise KeyError(slot)
        return capitalised(self[slot[:1].lower() + slot[1:]])


class Marked(dict[str, str]):
    """Fills every slot that has no value with its own name, marked: `\\x02subject\\x03`. To read a template backwards."""

    def __missing__(self, slot: str) -> str:
        lower = slot[:1].lower() + slot[1:]
        return capitalised(self[lower]) if lower in self else f"\x02{lower}\x03"


def wordings_if_any(world: str, name: str) -> tuple[tuple[Template, ...], ...]:
    """The wordings in `templates/<world>/<name>.txt`; none if there is no such file."""
    return wordings(world, name) if (templates_folder() / world / f"{name}.txt").is_file() else ()


def prompt(name: str) -> Template:
    """The prompt in `templates/augment/<name>.txt`, its comments left out."""
    lines = (templates_folder() / "augment" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return Template("\n".join(line for line in lines if not line.startswith("#")))


def reading() -> Mapping[str, Any]:
    """The words of `templates/augment/reading.yaml`: what may stand around a statement without changing it."""
    found: Mapping[str, Any] = yaml.safe_load((templates_folder() / "augment" / "reading.yaml").read_text(encoding="utf-8"))
    return found


def variables(world: World, fact: Fact) -> Values:
    """What the templates of a fact's relation may use: its entities and the relation's forms."""
    values = Values(world.relations[fact.relation].forms)
    values["subject"] = fact.subject
    values["object"] = fact.object
    return values


@cache
def _statements(world: str, wording: str) -> tuple[tuple[Template, ...], ...]:
    return wordings(world, f"statements/{wording}")


def statement_wordings(world: World, relation: Relation) -> list[Template]:
    """All the ways to state a fact of a relation, without capital and full stop.

    Raises:
        IclBenchError: there is no file of them.
    """
    try:
        return [line[0] for line in _statements(world.name, relation.wording)]
    except FileNotFoundError:
        raise IclBenchError(
            f"{world.name}: {relation.name} facts are in no wording of their own; add templates/{world.name}/statements/"
            f"{relation.wording}.txt"
        ) from None


def statement(world: World, fact: Fact, choice: int = 0) -> str:
    """A fact in words, without capital and full stop; `choice` picks the wording, modulo their number."""
    lines = _statements(world.name, world.relations[fact.relation].wording)
    return lines[choice % len(lines)][0].fill(variables(world, fact))


def sentence(world: World, fact: Fact, choice: int = 0) -> str:
    """A fact as a sentence."""
    return capitalised(statement(world, fact, choice)) + "."


def split_sentences(text: str) -> tuple[str, tuple[int, ...]]:
    """Take the marks of `{{ stop }}` out of a text: the text and the offsets at which its sentences end."""
    parts = text.split(STOP)
    ends, length = [], 0
    for part in parts:
        length += len(part)
        ends.append(length)
    return "".join(parts), tuple(ends)
