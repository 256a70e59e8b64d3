"""Which base facts each training document states, and in which words.

It never sees what follows from the facts (it may not import `closure`), so that no document can tell a derived fact.
A plan names a document's facts; rendering turns a plan into text. Plans are cheap, texts are made one at a time.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import count
from typing import NamedTuple, TypeVar

from icl_bench.errors import IclBenchError
from icl_bench.rendering import (
    STOP,
    Values,
    formats,
    sentence,
    split_sentences,
    statement,
    variables,
    wordings,
)
from icl_bench.schema import Articles, Document, Fact, Repeated, Scripted, World, short_id
from icl_bench.streams import stream

T = TypeVar("T")


class Plan(NamedTuple):
    """A document before it is worded."""

    number: int
    """place in the stream of documents: its wording depends on it"""
    kind: str
    bundle: int
    """the bundle that it is about"""
    facts: tuple[Fact, ...]


def plans(world: World) -> Iterator[Plan]:
    """All the documents of a world, unworded, in the order in which they are sampled.

    Raises:
        IclBenchError: more documents for a bundle than there are wordings, or too few articles to state every fact.
    """
    if isinstance(world.telling, Repeated):
        return _repeated(world, world.telling)
    if isinstance(world.telling, Scripted):
        return _scripted(world, world.telling)
    return _articles(world, world.telling)


def _repeated(world: World, telling: Repeated) -> Iterator[Plan]:
    files = {telling.templates.format(wording=relation.wording) for relation in world.relations.values()}
    known = min(len(wordings(world.name, name)) for name in files)
    if telling.times > known:
        raise IclBenchError(
            f"{world.name}: {telling.times} documents for each fact, but there are {known} wordings; ask for {known} or fewer"
        )
    told = [
        (b, facts)
        for b, bundle in enumerate(world.bundles)
        for facts in ([bundle.facts] if telling.together else [(fact,) for fact in bundle.facts])
    ]
    # All is told once, and then again at random: what stands next to a document says nothing about it.
    draws = stream(world.seed, world.name, "rounds")
    for i in draws.shuffled(range(len(told))):
        yield Plan(0, telling.kind, *told[i])
    for i in draws.shuffled(range(len(told), telling.times * len(told))):
        yield Plan(i // len(told), telling.kind, *told[i % len(told)])


def _scripted(world: World, telling: Scripted) -> Iterator[Plan]:
    for b, bundle in enumerate(world.bundles):
        if bundle.script:
            yield Plan(b, telling.kind, b, tuple(dict.fromkeys(fact for line in bundle.script for fact in line.facts)))


def _articles(world: World, telling: Articles) -> Iterator[Plan]:
    least, most = telling.sentences
    every = {fact for bundle in world.bundles for fact in bundle.facts}
    topics = _rounds(world, "topics", [b for b, bundle in enumerate(world.bundles) if bundle.terms])
    chunks = _rounds(world, "chunks", [chunk for bundle in world.bundles for chunk in _chunks(bundle.facts)])
    waiting: list[tuple[Fact, ...]] = []
    first = [0] * len(world.bundles)
    for index in range(telling.documents):
        draws = stream(world.seed, world.name, "document", index)
        length = min(least + draws.below(most - least + 1), len(every))
        topic = next(topics)
        own = world.bundles[topic].facts
        # a document that is too short for its topic goes on where the last one on it stopped
        own, first[topic] = (*own[first[topic] :], *own[: first[topic]])[:length], (first[topic] + length) % len(own)
        told = dict.fromkeys(draws.shuffled(own))
        passed: list[tuple[Fact, ...]] = []
        while len(told) < length:
            chunk = waiting.pop(0) if waiting else next(chunks)
            fresh = [fact for fact in chunk if fact not in told][: length - len(told)]
            told.update(dict.fromkeys(fresh))
            rest = tuple(fact for fact in chunk if fact not in told)
            if rest:  # cut off by the end of the document: first in the next one
                passed.append(rest)
        waiting = passed + waiting
        qa = int((index + 1) * telling.qa_fraction) > int(index * telling.qa_fraction)
        yield Plan(index, "qa" if qa else "article", topic, tuple(told))


def _chunks(facts: Sequence[Fact]) -> Iterator[tuple[Fact, ...]]:
    """Facts on one category by threes, so that what fills up an article reads as a paragraph."""
    for start in range(0, len(facts), 3):
        yield tuple(facts[start : start + 3])


def _rounds(world: World, name: str, items: Sequence[T]) -> Iterator[T]:
    """The items in random order, and again in another order, without end."""
    for turn in count():
        yield from stream(world.seed, world.name, name, turn).shuffled(items)


def document(world: World, plan: Plan) -> Document:
    """Word a plan."""
    telling = world.telling
    if isinstance(telling, Repeated):
        text, ends = _one_wording(world, plan, telling.templates)
    elif isinstance(telling, Scripted):
        text, ends = _script(world, plan)
    else:
        text, ends = _article(world, plan)
    return Document(
        id=short_id(f"{plan.kind}\n{text}"),
        kind=plan.kind,
        text=text,
        facts=tuple(fact.id for fact in plan.facts),
        sentence_ends=ends,
    )


def _one_wording(world: World, plan: Plan, templates: str) -> tuple[str, tuple[int, ...]]:
    lines = wordings(world.name, templates.format(wording=world.relations[plan.facts[0].relation].wording))
    order = stream(world.seed, world.name, "wording", *plan.facts[0]).order(len(lines))
    choice = next(line for turn, line in enumerate(order) if turn == plan.number)
    values = variables(world, plan.facts[0])
    for i, fact in enumerate(plan.facts, 1):
        values[f"statement_{i}"] = statement(world, fact)
    for i, term in enumerate(world.bundles[plan.bundle].terms, 1):
        values[f"term_{i}"] = term
    values["stop"] = STOP
    return split_sentences(lines[choice][0].fill(values))


def _script(world: World, plan: Plan) -> tuple[str, tuple[int, ...]]:
    draws = stream(world.seed, world.name, "wording", plan.number)
    parts = []
    for line in world.bundles[plan.bundle].script:
        wording = draws.choice(wordings(world.name, f"documents/{line.template}"))[0]
        parts.append(wording.fill(Values(line.values)))
    return split_sentences(f"{STOP} ".join(parts))


def _article(world: World, plan: Plan) -> tuple[str, tuple[int, ...]]:
    draws = stream(world.seed, world.name, "wording", plan.number)
    style = draws.choice([entry for entry in formats(world.name) if entry["kind"] == plan.kind])
    topic = world.bundles[plan.bundle].terms[0]
    frame = Values(topic=topic, number=str(plan.number + 1))
    parts = []
    for i, fact in enumerate(plan.facts):
        values = Values(frame, i=str(i + 1))
        wording = world.relations[fact.relation].wording
        if style["statements"] == "sentence":
            values["sentence"] = sentence(world, fact, draws.below(1 << 16))
        else:
            line = draws.choice(wordings(world.name, f"{style['statements']}/{wording}"))
            cells = [template.fill(variables(world, fact)) for template in line]
            values.update((f"part_{k}", cell) for k, cell in enumerate(cells, 1))
        parts.append(style["items"][i % len(style["items"])].fill(values))
    opening, closing = style["opening"].fill(frame), style["closing"].fill(frame)
    parts[0] = opening + parts[0]
    parts[-1] += closing
    return split_sentences((STOP + style["joiner"]).join(parts))


def statements_of(world: World, told: Iterable[Plan]) -> Counter[tuple[str, str]]:
    """How often the training text tells (relation, entity) with the entity as object, also by the inverse relation."""
    uses: Counter[Fact] = Counter()
    for plan in told:
        uses.update(plan.facts)
    found: Counter[tuple[str, str]] = Counter()
    for fact, times in uses.items():
        found[fact.relation, fact.object] += times
        found[world.relations[fact.relation].inverse, fact.subject] += times
    return found


def coverage_order(told: Sequence[Plan], needed: Set[Fact]) -> tuple[list[Plan], int]:
    """Order documents so that every prefix states as many of the needed facts as a greedy choice can.

    Returns:
        The documents, and how many of them state all that is needed. (Greedy choice is within 1 - 1/e of the best
        prefix of any length: Nemhauser, Wolsey and Fisher, 1978.)

    Raises:
        IclBenchError: a needed fact is in no document.
    """
    missing = set(needed)
    heap = [(-len(missing.intersection(plan.facts)), i) for i, plan in enumerate(told)]
    heapq.heapify(heap)
    ordered: list[Plan] = []
    taken: set[int] = set()
    while missing and heap:
        gain, i = heapq.heappop(heap)
        now = -len(missing.intersection(told[i].facts))
        if now != gain:
            heapq.heappush(heap, (now, i))
            continue
        if not gain:
            break
        ordered.append(told[i])
        taken.add(i)
        missing.difference_update(told[i].facts)
    if missing:
        raise IclBenchError(f"{len(told)} documents are too few to state all facts: {len(missing)} are missing; ask for more")
    return ordered + [plan for i, plan in enumerate(told) if i not in taken], len(ordered)
