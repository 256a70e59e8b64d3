"""reversal: a comparison is stated in one direction and asked in the other.

    document    "Did you know that femp are more dangerous than glon."
    question    "glon are" -> "less dangerous than femp." / "more dangerous than femp."
    answer      "less dangerous than femp."

The simple reversals of Lampinen et al. (2025, arXiv 2505.00661): 100 facts over 28 features, each in 10 documents.
Facts come in pairs that share a feature, one stated with "more" and one with "less", so that within every feature both
wordings are stated equally often and the more frequent wording says nothing about an answer.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field

from icl_bench.schema import Ask, Bundle, Fact, Positive, Relation, Repeated, Rule, Share, World, WorldConfig
from icl_bench.streams import stream

# feature -> (comparative that says more, comparative that says less)
FEATURES = {
    "bright": ("brighter", "less bright"),
    "heavy": ("heavier", "less heavy"),
    "tall": ("taller", "less tall"),
    "fast": ("faster", "less fast"),
    "strong": ("stronger", "less strong"),
    "warm": ("warmer", "less warm"),
    "soft": ("softer", "less soft"),
    "loud": ("louder", "less loud"),
    "sweet": ("sweeter", "less sweet"),
    "old": ("older", "less old"),
    "wide": ("wider", "less wide"),
    "deep": ("deeper", "less deep"),
    "smooth": ("smoother", "less smooth"),
    "clever": ("cleverer", "less clever"),
    "dangerous": ("more dangerous", "less dangerous"),
    "expensive": ("more expensive", "less expensive"),
    "common": ("more common", "less common"),
    "colourful": ("more colourful", "less colourful"),
    "fragile": ("more fragile", "less fragile"),
    "useful": ("more useful", "less useful"),
    "valuable": ("more valuable", "less valuable"),
    "durable": ("more durable", "less durable"),
    "flexible": ("more flexible", "less flexible"),
    "poisonous": ("more poisonous", "less poisonous"),
    "fragrant": ("more fragrant", "less fragrant"),
    "talkative": ("more talkative", "less talkative"),
    "famous": ("more famous", "less famous"),
    "transparent": ("more transparent", "less transparent"),
}


class Config(WorldConfig):
    """The sizes of a reversal world."""

    facts: Positive = 100
    """Comparisons, each between two entities of its own."""
    features: int = Field(default=len(FEATURES), ge=1, le=len(FEATURES))
    """How many of the 28 features are used, the first ones."""
    documents_per_fact: Positive = 10
    """Training documents for each fact, every one in another wording."""
    reverse_fraction: Share = 0.0
    """Share of the facts that is also stated reversed in `train`, and so not asked in `test`."""


def _relation(feature: str, degree: str, inverse: str, phrase: str) -> Relation:
    return Relation(
        name=f"{degree}_{feature}",
        inverse=f"{inverse}_{feature}",
        wording="comparison",
        forms={"relation": phrase},
    )


def sample(config: Config, seed: int, words: Callable[[int], list[str]]) -> World:
    """Draw the base facts. `words(n)` gives the first n words of the dataset's vocabulary."""
    features = list(FEATURES)[: config.features]
    relations = {}
    for feature in features:
        for degree, inverse, phrase in zip(("more", "less"), ("less", "more"), FEATURES[feature], strict=True):
            relations[f"{degree}_{feature}"] = _relation(feature, degree, inverse, phrase)
    names = words(2 * config.facts)
    reversed_too = round(config.reverse_fraction * config.facts)
    bundles = []
    order: list[str] = []
    for i in range(config.facts):
        pair = i // 2
        if i % (2 * len(features)) == 0:
            order = stream(seed, "reversal", "features", pair // len(features)).shuffled(features)
        feature = order[pair % len(features)]
        swap = stream(seed, "reversal", "degree", pair).below(2)
        degree = "more" if (i + swap) % 2 else "less"
        fact = Fact(f"{degree}_{feature}", names[2 * i], names[2 * i + 1])
        # spread evenly over the facts: every prefix holds its share
        both = (i + 1) * reversed_too // config.facts > i * reversed_too // config.facts
        facts = (fact, reverse(relations, fact)) if both else (fact,)
        bundles.append(Bundle(facts=facts, terms=(fact.subject, fact.object)))
    return World(
        name="reversal",
        seed=seed,
        relations=relations,
        rules=tuple(Rule.parse(f"{r.inverse}(Y, X) :- {r.name}(X, Y).") for r in relations.values()),
        bundles=bundles,
        independent=True,
        telling=Repeated(times=config.documents_per_fact, together=False, kind="statement"),
        asks=(
            Ask(kind="rephrase", split="validation", templates="rephrase"),
            Ask(kind="reversal", split="test", templates="reversal"),
        ),
        classify=lambda fact, hops, stated: "rephrase" if stated else "reversal",
        alternatives=lambda fact: [
            fact,
            Fact(relations[fact.relation].inverse, fact.subject, fact.object),
        ],
    )


def reverse(relations: dict[str, Relation], fact: Fact) -> Fact:
    """The same comparison told from the other side."""
    return Fact(relations[fact.relation].inverse, fact.object, fact.subject)
