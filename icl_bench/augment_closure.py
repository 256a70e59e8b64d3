"""Augmentation by the closure: what follows from the documents, in documents of one sentence. The upper bound of any method.

    stated      "Did you know that femp are more dangerous than glon."
    added       "Compared with femp, glon are less dangerous."

No document has the wording of a test question.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from icl_bench.augment_world import Source
from icl_bench.errors import IclBenchError
from icl_bench.rendering import Marked, capitalised, sentence, statement_wordings, wordings_if_any
from icl_bench.schema import Document, Fact, Positive, Relation, World, WorldConfig, short_id
from icl_bench.shallow import words
from icl_bench.streams import stream

_USUAL = 3
"""Wordings of a fact, if it is not said how many and there are so many."""


class ClosureOptions(WorldConfig):
    """Which facts are told, and how often."""

    kinds: tuple[str, ...] = ()
    """Kinds of questions (reversal, ...; rephrase for what is stated anyway) or relations (is_a, ...); none means all that
    follows and is not stated."""
    hops: tuple[int, int | None] = (1, None)
    """The least and the most stated facts in the shortest proof; None for no limit."""
    wordings: Positive | None = None
    """Documents of each fact, every one in another wording."""
    share: float = Field(default=1.0, gt=0, le=1)
    """The share of these facts that is told. A smaller share is part of a larger one."""
    count: Positive | None = None
    """The most facts that are told."""

    @model_validator(mode="after")
    def _ordered(self) -> ClosureOptions:
        least, most = self.hops
        if least < 1 or (most is not None and most < least):
            raise ValueError(f"hops = {least} to {most}: write the least and the most, from 1 on")
        return self


def closure_documents(source: Source, options: ClosureOptions) -> list[Document]:
    """The documents: all the facts in one wording, then all of them in another, so that every prefix tells as many as it can.

    Raises:
        IclBenchError: no such kind or relation, nothing to tell, or a fact with too few wordings.
    """
    facts = _facts(source, options)
    world = source.world
    lines = {name: _open_wordings(world, world.relations[name]) for name in sorted({fact.relation for fact in facts})}
    for name, places in lines.items():
        if (options.wordings or 1) > len(places):
            raise IclBenchError(
                f"{source.name}.wordings = {options.wordings}: {name} has {len(places)} wordings that are not a test question's; "
                f"ask for {len(places)} or fewer"
            )
    orders = {fact: stream(world.seed, world.name, "closure wording", *fact).shuffled(lines[fact.relation]) for fact in facts}
    return [
        _document(fact, sentence(world, fact, orders[fact][turn]))
        for turn in range(options.wordings or _USUAL)
        for fact in facts
        if turn < len(orders[fact])
    ]


def _document(fact: Fact, text: str) -> Document:
    return Document(id=short_id(f"closure\n{text}"), kind="closure", text=text, facts=(fact.id,), sentence_ends=(len(text),))


def _facts(source: Source, options: ClosureOptions) -> list[Fact]:
    """The facts to tell, in random order."""
    least, most = options.hops
    kinds = {ask.kind for ask in source.world.asks}
    for kind in options.kinds:
        if kind not in kinds and kind not in source.world.relations:
            raise IclBenchError(
                f"{source.name} has neither questions of kind {kind!r} nor such a relation; kinds: {', '.join(sorted(kinds))}; "
                f"relations: {', '.join(list(source.world.relations)[:12])}, ...; choose among them, or datasets with --dataset"
            )
    found = []
    for fact, row in source.facts.items():
        stated, hops = row.status == "stated", len(row.proof)
        asked_as = source.world.classify(fact, hops, stated)
        wanted = asked_as in options.kinds or (fact.relation in options.kinds and not stated)
        fits = wanted if options.kinds else not stated
        if fits and least <= hops and (most is None or hops <= most):
            found.append(fact)
    if not found:
        raise IclBenchError(
            f"{source.name} has no facts of these kinds and hops; ask for others, or choose datasets with --dataset"
        )
    found.sort(key=lambda fact: (stream(source.world.seed, source.name, "closure", *fact).word(), fact))
    return found[: min(max(1, round(options.share * len(found))), options.count or len(found))]


def _open_wordings(world: World, relation: Relation) -> list[int]:
    """The places of the wordings that neither hold the words of a test question on this relation nor are held by them.

    Raises:
        IclBenchError: there is none.
    """
    marked = Marked(relation.forms)
    statements = [line.fill(marked) for line in statement_wordings(world, relation)]
    marked["sentence"] = f"{capitalised(statements[0])}."
    asked = []
    for ask in world.asks:
        if ask.split == "test":
            for parts in wordings_if_any(world.name, f"questions/{ask.templates.format(wording=relation.wording)}"):
                asked.append(_bare(" ".join(part.fill(marked) for part in parts)))
    found = [i for i, line in enumerate(statements) if not any(_bare(line) in text or text in _bare(line) for text in asked)]
    if not found:
        raise IclBenchError(
            f"{world.name}: every wording of {relation.name} is that of a test question; add others to "
            f"templates/{world.name}/statements/{relation.wording}.txt"
        )
    return found


def _bare(text: str) -> str:
    return f" {' '.join(words(text))} "
