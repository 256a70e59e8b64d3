"""From a configuration to rows: the whole way from seed to documents, questions and facts, without any input or output.

>>> dataset = build("reversal", seed=7, fields={"facts": 10})
>>> next(dataset.rows("train")).text
'...'
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from icl_bench.closure import Closure
from icl_bench.distractors import Distractors
from icl_bench.documents import coverage_order, document, plans, statements_of
from icl_bench.errors import IclBenchError
from icl_bench.questions import Item, items_of_bundle, items_of_world, question
from icl_bench.rendering import sentence
from icl_bench.schema import Document, Fact, FactRow, Question, World, WorldConfig
from icl_bench.vocabulary import Vocabulary
from icl_bench.worlds import WORLDS

SPLITS = ("train", "validation", "test")


class Dataset(NamedTuple):
    """One sampled dataset, its rows made as they are read."""

    world: World
    config: WorldConfig
    covered: int
    """how many documents it takes to state all facts that the questions need"""
    rows: Callable[[str], Iterator[Document | Question | FactRow]]
    """the rows of a split: train, validation, test or facts"""


def build(name: str, seed: int = 0, fields: Mapping[str, Any] | None = None) -> Dataset:
    """Sample a dataset.

    Args:
        name: a key of `WORLDS`.
        seed: any integer; another seed gives another world.
        fields: fields of the dataset's `Config` that are not to have their defaults.

    Raises:
        IclBenchError: an unknown dataset, field or value, or sizes that do not fit together.
    """
    if name not in WORLDS:
        raise IclBenchError(f"there is no dataset {name!r}; there are {', '.join(WORLDS)}")
    config = WORLDS[name].Config.of(name, fields or {})
    vocabulary = Vocabulary(seed, slot=list(WORLDS).index(name))
    world: World = WORLDS[name].sample(config, seed, vocabulary.take)
    return _by_bundle(world, config) if world.independent else _as_a_whole(world, config)


def _check_split(split: str) -> None:
    if split not in (*SPLITS, "facts"):
        raise IclBenchError(f"there is no split {split!r}; there are {', '.join(SPLITS)} and facts")


def _by_bundle(world: World, config: WorldConfig) -> Dataset:
    """Bundles that no rule joins are closed one at a time, so that memory does not grow with the rows."""

    @lru_cache(maxsize=512)  # a small world is closed once for all of its splits
    def closed(facts: tuple[Fact, ...]) -> Closure:
        return Closure(facts, world.rules)

    def rows(split: str) -> Iterator[Document | Question | FactRow]:
        _check_split(split)
        if split == "train":
            yield from (document(world, plan) for plan in plans(world))
            return
        for bundle in world.bundles:
            closure = closed(bundle.facts)
            items = [
                item
                for ask in world.asks
                if ask.split == ("test" if split == "facts" else split)
                for item in items_of_bundle(world, bundle, closure, ask)
            ]
            if split == "facts":
                yield from _fact_rows(world, closure, items)
            else:
                yield from (question(world, closure, item) for item in items)

    return Dataset(world, config, sum(plan.number == 0 for plan in plans(world)), rows)


def _as_a_whole(world: World, config: WorldConfig) -> Dataset:
    closure = Closure((fact for bundle in world.bundles for fact in bundle.facts), world.rules, world.derivations)
    planned = list(plans(world))
    distractors = Distractors(world, closure, statements_of(world, planned))
    items: dict[str, list[Item]] = {"validation": [], "test": []}
    for ask in world.asks:
        items[ask.split].extend(items_of_world(world, closure, ask, distractors))
    for split, found in items.items():
        if not found:
            raise IclBenchError(f"{world.name}: a world of this size has no questions for {split}; make it larger")
    needed = {premise for split in items.values() for item in split for premise in closure.proof(item.golds[0])}
    told = {fact for plan in planned for fact in plan.facts}
    never = {fact for bundle in world.bundles for fact in bundle.facts if fact not in told}
    ordered, covered = coverage_order(planned, needed | never)

    def rows(split: str) -> Iterator[Document | Question | FactRow]:
        _check_split(split)
        if split == "train":
            return (document(world, plan) for plan in ordered)
        if split == "facts":
            return _fact_rows(world, closure, items["test"])
        return (question(world, closure, item) for item in items[split])

    return Dataset(world, config, covered, rows)


def _fact_rows(world: World, closure: Closure, asked: Iterable[Item]) -> Iterator[FactRow]:
    answers = {gold for item in asked for gold in item.golds}
    for fact in closure:
        yield FactRow(
            id=fact.id,
            subject=fact.subject,
            relation=fact.relation,
            object=fact.object,
            sentence=sentence(world, fact),
            status="stated" if closure.stated(fact) else "asked" if fact in answers else "derived",
            proof=tuple(premise.id for premise in closure.proof(fact)),
        )
