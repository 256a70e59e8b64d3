"""Which facts are asked, what their choices claim, and the order of the choices.

Two ways to find the choices of a question: the world names the *alternatives* of a claim (the other direction; all six
statements about two terms), or they are drawn by `distractors.py` from what is true of other entities.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple, TypeVar

from icl_bench.closure import Closure
from icl_bench.distractors import Distractors
from icl_bench.rendering import sentence, variables, wordings
from icl_bench.schema import Ask, Bundle, Fact, Question, World, short_id
from icl_bench.streams import stream

T = TypeVar("T")


class Item(NamedTuple):
    """A question before it is worded."""

    ask: Ask
    claims: tuple[Fact, ...]
    """what its choices assert"""
    golds: tuple[Fact, ...]
    """the claims that are right: the strongest that are entailed"""
    label: str | None
    """the subset for error bars, if it is not the relation asked about"""


def _item(world: World, closure: Closure, ask: Ask, claims: Sequence[Fact], label: str | None) -> Item:
    entailed = [claim for claim in claims if claim in closure]
    most = max(world.relations[claim.relation].strength for claim in entailed)
    golds = tuple(claim for claim in entailed if world.relations[claim.relation].strength == most)
    return Item(ask, tuple(claims), golds, label)


def items_of_bundle(world: World, bundle: Bundle, closure: Closure, ask: Ask) -> Iterator[Item]:
    """The questions of one kind about one bundle, with the alternatives that the world names."""
    yield from _with_alternatives(world, closure, ask, bundle.label)


def _with_alternatives(world: World, closure: Closure, ask: Ask, label: str | None) -> Iterator[Item]:
    seen: set[Fact] = set()
    for fact in closure:
        if fact not in seen and world.classify(fact, closure.hops(fact), closure.stated(fact)) == ask.kind:
            claims = world.alternatives(fact)
            seen.update(claims)
            yield _item(world, closure, ask, claims, world.label(fact) or label)


def items_of_world(world: World, closure: Closure, ask: Ask, distractors: Distractors) -> Iterator[Item]:
    """The questions of one kind about a whole world: groups that share their choices, then questions that fit no group.

    The latter are taken up to the kind's `count`, and only where a gold's place in the order of frequency can be drawn
    uniformly; without a count all are, for all that follows is asked. A kind without a number of choices has the
    alternatives that the world names.
    """
    if ask.choices is None:
        yield from _with_alternatives(world, closure, ask, None)
        return
    size = ask.choices
    candidates: dict[str, list[Fact]] = defaultdict(list)
    for fact in closure:
        if world.classify(fact, closure.hops(fact), closure.stated(fact)) == ask.kind:
            candidates[fact.relation].append(fact)

    def rank(fact: Fact) -> int:
        return stream(world.seed, world.name, "rank", *fact).word()

    left = ask.count if ask.count is not None else sum(map(len, candidates.values()))
    grouped: list[list[list[Fact]]] = []
    for facts in candidates.values():
        facts.sort(key=rank)
        del facts[8 * left :]
        grouped.append(sorted(distractors.groups(facts, size), key=lambda group: rank(group[0])))
    asked: set[Fact] = set()
    for group in _by_turns(grouped):
        if left >= size:
            left -= size
            asked.update(group)
            for fact in group:
                yield Item(ask, tuple(fact._replace(object=other.object) for other in group), (fact,), None)
    for fact in _by_turns(candidates.values()):
        others = distractors.near(fact, size - 1, both_sides=ask.count is not None) if left and fact not in asked else None
        if others:
            left -= 1
            yield Item(ask, (fact, *(fact._replace(object=other) for other in others)), (fact,), None)


def _by_turns(lists: Iterable[Iterable[T]]) -> Iterator[T]:
    """The first of every list, then the second of every list, and so on."""
    for turn in zip_longest(*lists):
        yield from (item for item in turn if item is not None)


def question(world: World, closure: Closure, item: Item) -> Question:
    """Word a question, put its choices in order, and prove its answer."""
    asked = item.golds[0]
    kind = item.ask.kind
    draws = stream(world.seed, world.name, "question", kind, *asked)
    claims = draws.shuffled(item.claims)
    templates = item.ask.templates.format(wording=world.relations[asked.relation].wording)
    prompt, continuation = draws.choice(wordings(world.name, f"questions/{templates}"))
    values = variables(world, asked)
    if "term_1" in prompt.slots:
        values["term_1"], values["term_2"] = draws.shuffled((asked.subject, asked.object))
    text = prompt.fill(values)
    if "sentence" in continuation.slots:
        choices = tuple(continuation.fill({"sentence": sentence(world, claim)}) for claim in claims)
    else:
        choices = tuple(continuation.fill(variables(world, claim)) for claim in claims)
    answer = tuple(i for i, claim in enumerate(claims) if claim in item.golds)
    proof = closure.proof(asked)
    return Question(
        id=short_id("\n".join([kind, text, *choices])),
        kind=kind,
        relation=item.label or asked.relation,
        text=f"{text} {choices[answer[0]]}",
        question=text,
        choices=choices,
        claims=tuple(map(str, claims)),
        answer=answer,
        weaker=tuple(i for i, claim in enumerate(claims) if i not in answer and claim in closure),
        facts=tuple(fact.id for fact in proof),
        hops=closure.hops(asked),
    )
