"""Ontologies: a tree of categories with properties and relations, read from YAML, checked, pruned or grown.

    relations:
      eat: {inverse: eaten_by, verb: eat, participle: eaten, preposition: ""}
    categories:
      birds: {parent: animals, can: [sing], has: [feathers], eat: [seeds]}

Every property or relation of a category holds of all categories below it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from icl_bench.errors import IclBenchError
from icl_bench.schema import Frozen
from icl_bench.streams import Stream, stream

PROPERTIES = ("is", "can", "has")
INVERSES = {"is_a": "includes", "is": "is_true_of", "can": "is_done_by", "has": "belongs_to"}
"""The relations that every ontology has, and their inverses."""


class Verb(Frozen):
    """A relation between categories, worded by a verb: wolves eat rabbits, rabbits are eaten by wolves."""

    inverse: str
    """Name of the inverse relation in facts."""
    verb: str
    participle: str
    preposition: str = ""


class Category(NamedTuple):
    """A category: its parent (None for a root) and what is true of it that it does not inherit."""

    parent: str | None
    own: tuple[tuple[str, str], ...]
    """(is | can | has | name of a relation, property or category)"""


class Ontology(NamedTuple):
    """Categories in an order in which parents come before their children."""

    relations: Mapping[str, Verb]
    categories: Mapping[str, Category]

    def ancestors(self, name: str) -> list[str]:
        """The categories above one, nearest first."""
        found = []
        parent = self.categories[name].parent
        while parent is not None:
            found.append(parent)
            parent = self.categories[parent].parent
        return found

    def children(self) -> dict[str | None, list[str]]:
        """The categories below each, None for the roots."""
        below: dict[str | None, list[str]] = defaultdict(list)
        for name, category in self.categories.items():
            below[category.parent].append(name)
        return dict(below)

    def roles(self) -> dict[str, str]:
        """Every word of the ontology and its role: category, is, can, has, or verb."""
        found = {verb.verb: "verb" for verb in self.relations.values()}
        for name, category in self.categories.items():
            found[name] = "category"
            found.update((word, key) for key, word in category.own if key in PROPERTIES)
        return found


class _Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error, not a loss."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        twice = [key for key, times in Counter(map(str, keys)).items() if times > 1]
        if twice:
            raise yaml.YAMLError(f"{twice[0]!r} stands twice, line {node.start_mark.line + 1} and after")
        return super().construct_mapping(node, deep)


def read_ontology(path: Path) -> Ontology:
    """Read and check an ontology.

    Raises:
        IclBenchError: the file cannot be read or is not an ontology; the message names the category and its fault.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise IclBenchError(f"ontology {path}: cannot be read ({error}); give the path of a YAML file") from None
    except (yaml.YAMLError, ValueError) as error:
        raise IclBenchError(f"ontology {path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict) or set(raw) != {"relations", "categories"}:
        raise IclBenchError(f"ontology {path}: must have the two keys 'relations' and 'categories' and no other")
    if not all(isinstance(raw[key], dict) and raw[key] for key in raw):
        raise IclBenchError(f"ontology {path}: 'relations' and 'categories' must be mappings with at least one entry")
    relations: dict[str, Verb] = {}
    for name, entry in raw["relations"].items():
        try:
            relations[str(name)] = Verb.model_validate(entry)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise IclBenchError(f"ontology {path}: relation {name!r}: {field} {first['msg'].lower()}") from None
    categories = {}
    for name, entry in raw["categories"].items():
        categories[str(name)] = _category(path, str(name), entry, relations)
    ontology = Ontology(relations, categories)
    _check(path, ontology)
    return ontology


def _category(path: Path, name: str, entry: object, relations: Mapping[str, Verb]) -> Category:
    keys = ("parent", *PROPERTIES, *relations)
    if not isinstance(entry, dict) or "parent" not in entry:
        raise IclBenchError(f"ontology {path}: category {name!r} must be a mapping with a 'parent' (null for a root)")
    own: list[tuple[str, str]] = []
    for key, words in entry.items():
        if key not in keys:
            raise IclBenchError(f"ontology {path}: category {name!r} has an unknown key {key!r}; known: {', '.join(keys)}")
        if key == "parent":
            continue
        if not isinstance(words, list) or not words or not all(isinstance(word, str) and word for word in words):
            raise IclBenchError(f"ontology {path}: category {name!r}: {key!r} must be a list of words, not {words!r}")
        own.extend((key, word) for word in words)
    if not (entry["parent"] is None or isinstance(entry["parent"], str)):
        raise IclBenchError(f"ontology {path}: category {name!r}: parent {entry['parent']!r} is not a name")
    return Category(entry["parent"], tuple(own))


def _check(path: Path, ontology: Ontology) -> None:
    """Raise IclBenchError for the first thing that makes the ontology untrue to its own rules."""

    def fault(name: str, what: str) -> IclBenchError:
        return IclBenchError(f"ontology {path}: category {name!r} {what}")

    names = ontology.categories
    for name, category in names.items():
        if category.parent is not None and category.parent not in names:
            raise fault(name, f"has the parent {category.parent!r}, which is not a category")
        seen = {name}
        above = category.parent
        while above is not None:
            if above in seen:
                raise fault(name, f"is its own ancestor (through {above!r})")
            seen.add(above)
            above = names[above].parent if above in names else None
    position = {name: i for i, name in enumerate(names)}
    roles: dict[str, str] = {verb.verb: "verb of a relation" for verb in ontology.relations.values()}
    used = [*ontology.relations, *(verb.inverse for verb in ontology.relations.values())]
    for name, times in Counter([*used, *INVERSES, *INVERSES.values(), "parent"]).items():
        if times > 1:
            raise IclBenchError(f"ontology {path}: relation name {name!r} is used twice or built in; choose another")
        if not re.fullmatch(r"[a-z]\w*", name):
            raise IclBenchError(f"ontology {path}: relation name {name!r} must be of lower-case letters, digits and _")
    if not any(category.parent or category.own for category in ontology.categories.values()):
        raise IclBenchError(f"ontology {path}: no category has a parent or a property; there is nothing to tell")
    for name, category in names.items():
        words = [(name, "category"), *((word, key) for key, word in category.own if key in PROPERTIES)]
        for word, role in words:
            if any(mark in word for mark in ",()|{}") or word != word.strip():
                raise fault(name, f"has the word {word!r}; words may not hold any of , ( ) | {{ }}")
            if roles.setdefault(word, role) != role:
                raise fault(name, f"uses {word!r} as {role}, but it is a {roles[word]} elsewhere; give one of them another word")
        if category.parent is not None and position[category.parent] > position[name]:
            raise fault(name, f"stands before its parent {category.parent!r}; put parents first")
        if len(set(category.own)) < len(category.own):
            twice = next(item for item, times in Counter(category.own).items() if times > 1)
            raise fault(name, f"states {twice[0]} {twice[1]!r} twice")
        above_names = ontology.ancestors(name)
        inherited = {item: above for above in reversed(above_names) for item in names[above].own}
        for key, word in category.own:
            if (key, word) in inherited:
                raise fault(name, f"states {key} {word!r}, which it inherits from {inherited[key, word]!r}")
            if key in ontology.relations:
                if word not in names:
                    raise fault(name, f"has the relation {key} to {word!r}, which is not a category")
                if word == name or word in above_names or name in ontology.ancestors(word):
                    raise fault(name, f"has the relation {key} to {word!r}, its own kind; relate different branches")


@cache
def default_ontology() -> Ontology:
    """The 110 categories of animals, plants and objects that travel with the package."""
    return read_ontology(Path(__file__).parent / "ontology.yaml")


def prune(ontology: Ontology, size: int, draws: Stream) -> Ontology:
    """A random part of `size` categories: leaves are removed until that many remain."""
    left = dict(ontology.categories)
    children = Counter(category.parent for category in left.values())
    leaves = [name for name in left if not children[name]]
    while len(left) > size:
        i = draws.below(len(leaves))
        leaves[i], leaves[-1] = leaves[-1], leaves[i]
        parent = left.pop(leaves.pop()).parent
        children[parent] -= 1
        if parent is not None and not children[parent]:
            leaves.append(parent)
    kept = {
        name: Category(c.parent, tuple(item for item in c.own if item[0] in PROPERTIES or item[1] in left))
        for name, c in left.items()
    }
    return Ontology(ontology.relations, kept)


def grow(ontology: Ontology, size: int, seed: int) -> Ontology:
    """A random ontology of `size` categories with the statistics of another.

    Trees are sampled anew: a category takes its number of children, of properties of each kind and of relations from a
    random category at its depth, and a property is a new word as often as it is there. Names are `category_17`, `is_4`.
    """
    below = ontology.children()
    levels: dict[int, list[str]] = defaultdict(list)
    for name in ontology.categories:
        levels[len(ontology.ancestors(name))].append(name)
    uses = Counter(key for c in ontology.categories.values() for key, _ in c.own)
    distinct = Counter(key for key, _ in {item for c in ontology.categories.values() for item in c.own})
    made: dict[str, Category] = {}
    depth: dict[str, int] = {}
    models: list[str] = []
    pool: dict[str, list[str]] = {key: [] for key in PROPERTIES}
    frontier: list[str] = []
    grown = Ontology(ontology.relations, made)

    def add(parent: str | None) -> None:
        i = len(made)
        draws = stream(seed, "ontology", "category", i)
        name = f"category_{i}"
        depth[name] = depth[parent] + 1 if parent else 0
        made[name] = Category(parent, ())
        model = draws.choice(levels[depth[name]])
        inherited = {item for above in grown.ancestors(name) for item in made[above].own}
        own: list[tuple[str, str]] = []
        for key, _ in ontology.categories[model].own:
            if key in ontology.relations:
                continue
            old = draws.choice(pool[key]) if pool[key] else None
            if old is None or draws.below(uses[key]) < distinct[key] or (key, old) in inherited or (key, old) in own:
                old = f"{key}_{len(pool[key])}"
                pool[key].append(old)
            own.append((key, old))
        made[name] = Category(parent, tuple(own))
        models.append(model)
        frontier.append(name)

    head = 0
    while len(made) < size:
        if head == len(frontier):
            for _ in below[None]:
                if len(made) < size:
                    add(None)
            continue
        parent = frontier[head]
        head += 1
        draws = stream(seed, "ontology", "children", parent)
        for _ in range(len(below.get(draws.choice(levels[depth[parent]]), ()))):
            if len(made) < size:
                add(parent)
    names = list(made)
    for i, name in enumerate(names):
        draws = stream(seed, "ontology", "relations", i)
        related = []
        for key, _ in ontology.categories[models[i]].own:
            if key in ontology.relations:
                target = draws.choice(names)
                kin = name == target or target in grown.ancestors(name) or name in grown.ancestors(target)
                known = {item for above in (name, *grown.ancestors(name)) for item in made[above].own}
                if not kin and (key, target) not in known and (key, target) not in related:
                    related.append((key, target))
        made[name] = made[name]._replace(own=(*made[name].own, *related))
    return grown
