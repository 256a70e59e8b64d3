"""semantic_structure: a hierarchy of categories with properties and relations, told in articles.

    document    "Gruds are a type of abmes. All gruds can blim. Gruds glorp femps. ..."
    validation  rephrase: "Gruds belong to the" -> "abmes."
    test        reversal: "Abmes include" -> "gruds."; syllogism: "If something is one of the gruds, it is" -> "rony.";
                category_holdout: the same for categories of which only the parent is told

The semantic structure of Lampinen et al. (2025, arXiv 2505.00661): 110 categories of animals and objects (`ontology.yaml`),
1-6 properties of their own (is, can, has) and relations between them (eat, live in, ...). What holds of a category holds of
all below it. A seed maps every noun, adjective and verb to a nonsense word.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import chain, zip_longest
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from icl_bench.errors import IclBenchError
from icl_bench.schema import (
    Articles,
    Ask,
    Bundle,
    Count,
    Fact,
    Positive,
    Relation,
    Rule,
    Share,
    World,
    WorldConfig,
)
from icl_bench.streams import stream
from icl_bench.worlds.ontology import INVERSES, Ontology, default_ontology, grow, prune, read_ontology


class Config(WorldConfig):
    """The sizes of a semantic_structure world."""

    n_categories: int | None = Field(default=None, ge=1, le=100_000)
    """Categories: fewer than the ontology has prunes it at random, more samples a random one with its statistics
    (default: the ontology as it is)."""
    ontology: str | None = None
    """Path of a YAML file to use instead of the 110 categories that travel with the package."""
    vocabulary: Literal["nonsense", "english"] = "nonsense"
    """english: keep the words of the ontology."""
    documents: Positive | None = None
    """Training documents (default: 20 for each category)."""
    min_sentences: Positive = 4
    """The least statements in a document."""
    max_sentences: Positive = 20
    """The most statements in a document."""
    qa_fraction: Share = 0.125
    """Share of the documents that are questions and answers."""
    holdout: Count | None = None
    """Held-out leaf categories: training tells their parent only (default: 12, fewer in a small ontology)."""
    reverse_fraction: Share = 0.2
    """Share of the facts that is stated in both directions, and so not asked as a reversal."""
    questions: Positive = 300
    """The most questions of each kind (category_holdout: all that follow)."""
    choices: int = Field(default=4, ge=2, le=8)
    """Choices of a question."""

    @model_validator(mode="after")
    def _ordered(self) -> Config:
        if self.min_sentences > self.max_sentences:
            raise ValueError(f"min_sentences = {self.min_sentences} is more than max_sentences = {self.max_sentences}")
        return self


def _structure(config: Config, seed: int) -> Ontology:
    base = default_ontology() if config.ontology is None else read_ontology(Path(config.ontology))
    size = config.n_categories or len(base.categories)
    if size > len(base.categories):
        if config.vocabulary == "english":
            raise IclBenchError(
                f"semantic_structure.n_categories = {size}: English words exist for {len(base.categories)} categories only; "
                "use fewer, or vocabulary=nonsense"
            )
        return grow(base, size, seed)
    return prune(base, size, stream(seed, "semantic_structure", "prune"))


def _lexicon(ontology: Ontology, config: Config, words: Callable[[int], list[str]]) -> dict[str, str]:
    """The word in the text for every word of the ontology: categories and parts are plural nouns."""
    roles = ontology.roles()
    if config.vocabulary == "english":
        return {term: term for term in roles}
    plural = {"category": "s", "has": "s"}
    return {term: word + plural.get(role, "") for (term, role), word in zip(roles.items(), words(len(roles)), strict=True)}


def _relations(ontology: Ontology, config: Config, lexicon: dict[str, str]) -> dict[str, Relation]:
    relations = {}
    for name, inverse in INVERSES.items():
        relations[name] = Relation(name=name, inverse=inverse, wording=name)
        relations[inverse] = Relation(name=inverse, inverse=name, wording=inverse)
    for name, verb in ontology.relations.items():
        word = lexicon[verb.verb]
        participle = verb.participle if config.vocabulary == "english" else f"{word}ed"
        preposition = f" {verb.preposition}" if verb.preposition else ""
        forms = {"verb": word + preposition, "participle": participle + preposition}
        relations[name] = Relation(name=name, inverse=verb.inverse, wording="verb", forms=forms)
        relations[verb.inverse] = Relation(name=verb.inverse, inverse=name, wording="verb_inverse", forms=forms)
    return relations


def _held_out(ontology: Ontology, config: Config, seed: int) -> set[str]:
    """Leaves with a grandparent and a sibling that stays, drawn by turns from the branches (the level below the roots)."""
    below = ontology.children()
    stay = {parent: len(children) for parent, children in below.items()}
    branches: dict[str, list[str]] = defaultdict(list)
    for name in stream(seed, "semantic_structure", "holdout").shuffled(list(ontology.categories)):
        if name not in below and len(ontology.ancestors(name)) > 1:
            branches[ontology.ancestors(name)[-2]].append(name)
    wanted = min(12, len(ontology.categories) // 9) if config.holdout is None else config.holdout
    chosen: list[str] = []
    for name in chain.from_iterable(zip_longest(*branches.values())):
        parent = ontology.categories[name].parent if name else None
        if name and len(chosen) < wanted and stay[parent] > 1:
            chosen.append(name)
            stay[parent] -= 1
    if config.holdout is not None and len(chosen) < wanted:
        raise IclBenchError(
            f"semantic_structure.holdout = {wanted}: only {len(chosen)} leaf categories can be held out; "
            f"ask for {len(chosen)} or fewer"
        )
    return set(chosen)


def _rules(relations: dict[str, Relation]) -> tuple[Rule, ...]:
    forward = [name for name, relation in relations.items() if name in INVERSES or relation.wording == "verb"]
    inheritance = [f"{name}(X, Z) :- is_a(X, Y), {name}(Y, Z)." for name in forward]
    inversion = [f"{relation.inverse}(Y, X) :- {name}(X, Y)." for name, relation in relations.items()]
    return tuple(map(Rule.parse, inheritance + inversion))


def sample(config: Config, seed: int, words: Callable[[int], list[str]]) -> World:
    """Draw the base facts. `words(n)` gives the first n words of the dataset's vocabulary."""
    ontology = _structure(config, seed)
    lexicon = _lexicon(ontology, config, words)
    relations = _relations(ontology, config, lexicon)
    held_out = _held_out(ontology, config, seed)
    bundles = []
    for name, category in ontology.categories.items():
        own = [("is_a", category.parent)] if category.parent else []
        if name not in held_out:
            own += [item for item in category.own if item[1] not in held_out]
        facts = []
        for key, word in own:
            fact = Fact(key, lexicon[name], lexicon[word])
            facts.append(fact)
            if name in held_out:
                continue
            if stream(seed, "semantic_structure", "both directions", *fact).below(1 << 32) < config.reverse_fraction * (1 << 32):
                facts.append(Fact(relations[key].inverse, fact.object, fact.subject))
        # no article is about a held-out category, nor is its one fact told with those of its parent
        bundles.append(Bundle(tuple(facts), () if name in held_out else (lexicon[name],)))
    hidden = {lexicon[name] for name in held_out}

    def classify(fact: Fact, hops: int, stated: bool) -> str | None:
        forward = fact.relation in INVERSES or relations[fact.relation].wording == "verb"
        if forward and not stated:
            return "category_holdout" if fact.subject in hidden else "syllogism"
        if stated:
            return "rephrase" if forward and fact.subject not in hidden else None
        if hops > 1:
            return None
        return "category_holdout" if fact.object in hidden else "reversal"

    def ask(kind: str, split: Literal["validation", "test"], count: int | None) -> Ask:
        return Ask(kind=kind, split=split, templates="{wording}", choices=config.choices, count=count)

    return World(
        name="semantic_structure",
        seed=seed,
        relations=relations,
        rules=_rules(relations),
        bundles=[bundle for bundle in bundles if bundle.facts],
        independent=False,
        telling=Articles(
            documents=config.documents or 20 * len(ontology.categories),
            sentences=(config.min_sentences, config.max_sentences),
            qa_fraction=config.qa_fraction,
        ),
        asks=(
            ask("rephrase", "validation", config.questions),
            ask("reversal", "test", config.questions),
            ask("syllogism", "test", config.questions),
            ask("category_holdout", "test", None),
        ),
        classify=classify,
        alternatives=lambda fact: [fact],
        kind_of=("is_a", "includes"),
    )
