"""Learners that cannot infer anything. Where one of them beats chance, a score is no evidence of inference.

question    "abmes include"  ->  "gruds." (gold)  "tolps."  "femps."  "yomps."
longest     picks no choice before another: all are as long, so it is right as often as chance, 1/4
together    picks "gruds.", if gruds and abmes are in one document and abmes and tolps are not
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from math import sqrt
from typing import Any, NamedTuple

Row = Mapping[str, Any]
Learner = Callable[[Row], Sequence[float]]
"""A question -> one score for each choice. It picks the choices with the highest, ties included."""

_WORD = re.compile(r"\w+")
_ARGUMENTS = re.compile(r"\((.*)\)")


class Baseline(NamedTuple):
    """How one learner does on one kind of question."""

    kind: str
    name: str
    accuracy: float
    chance: float
    standard_error: float
    """Of the accuracy, if the gold answers were drawn at random from the choices. Questions with the same gold answer
    count as one: if it is short or frequent, it is so in all of them."""
    n: int
    clustered_error: float
    """The same, if questions about the same words count as one as well: what a learner has seen of these is the same in all."""

    @property
    def z(self) -> float:
        """Clustered errors above chance; 0 for a learner that never prefers a choice."""
        return (self.accuracy - self.chance) / self.clustered_error if self.clustered_error else 0.0


class Corpus(NamedTuple):
    """What the training documents show of some words: how often each occurs, in which documents, in which sentences."""

    frequency: Counter[str]
    documents: Mapping[str, set[int]]
    sentences: Mapping[str, set[int]]


def words(text: str) -> list[str]:
    """The words of a text in lower case.

    >>> words("Gruds, if any, are abmes.")
    ['gruds', 'if', 'any', 'are', 'abmes']
    """
    return _WORD.findall(text.lower())


def sentences(document: Row) -> list[str]:
    """The sentences of a document."""
    ends = document["sentence_ends"]
    return [document["text"][start:end] for start, end in zip([0, *ends], ends, strict=False)]


def content_words(questions: Iterable[Row]) -> set[str]:
    """The words of every entity that some choice makes a claim about."""
    claims = {claim for question in questions for claim in question["claims"]}
    return {word for claim in claims for match in _ARGUMENTS.findall(claim) for word in words(match)}


def corpus(train: Iterable[Row], content: set[str]) -> Corpus:
    """Where the content words are in the training documents. Memory grows with their occurrences alone."""
    found = Corpus(Counter(), defaultdict(set), defaultdict(set))
    sentence = 0
    for number, document in enumerate(train):
        for text in sentences(document):
            here = [word for word in words(text) if word in content]
            found.frequency.update(here)
            for word in here:
                found.documents[word].add(number)
                found.sentences[word].add(sentence)
            sentence += 1
    return found


def picks(scores: Sequence[float]) -> set[int]:
    """The choices with the highest score.

    >>> picks([3, 5, 5])
    {1, 2}
    """
    best = max(scores)
    return {choice for choice, score in enumerate(scores) if score == best}


def _at(position: int) -> Learner:
    return lambda question: [choice == position for choice in range(len(question["choices"]))]


def _longest(question: Row) -> list[int]:
    return [len(choice) for choice in question["choices"]]


def _shortest(question: Row) -> list[int]:
    return [-len(choice) for choice in question["choices"]]


def _frequent(frequency: Counter[str], content: set[str]) -> Learner:
    def scores(question: Row) -> list[float]:
        named = [[word for word in words(choice) if word in content] for choice in question["choices"]]
        return [sum(frequency[word] for word in choice) / len(choice) if choice else 0.0 for choice in named]

    return scores


def _together(places: Mapping[str, set[int]], content: set[str]) -> Learner:
    def common(found: Iterable[str]) -> set[int]:
        return set.intersection(*sorted((places.get(word, set()) for word in found), key=len))

    def scores(question: Row) -> list[int]:
        asked = content.intersection(words(question["question"]))
        context = common(asked) if asked else None
        counts = []
        for choice in question["choices"]:
            named = content.intersection(words(choice)) - asked
            if not named:
                counts.append(len(context or ()))
            else:
                counts.append(len(common(named) if context is None else common(named) & context))
        return counts

    return scores


def learners(found: Corpus, content: set[str], positions: int) -> dict[str, Learner]:
    """Every learner by name."""
    return {
        **{f"position {position + 1}": _at(position) for position in range(positions)},
        "longest": _longest,
        "shortest": _shortest,
        "most frequent": _frequent(found.frequency, content),
        "same document": _together(found.documents, content),
        "same sentence": _together(found.sentences, content),
    }


def one_hop_apart(questions: Sequence[Row]) -> list[Row]:
    """The questions; where a kind has both, those of one hop are a kind of their own.

    In these, premise and answer are about the same two entities: what may be expected of them is not of the others.
    """
    hops: defaultdict[str, set[bool]] = defaultdict(set)
    for question in questions:
        hops[question["kind"]].add(question["hops"] == 1)
    return [
        {**question, "kind": f"{question['kind']} (1 hop)"}
        if question["hops"] == 1 and len(hops[question["kind"]]) == 2
        else question
        for question in questions
    ]


CHOICES_ALONE = {"longest", "shortest", "most frequent"}
"""Learners that see nothing but the choices: they are right or wrong on all questions of the same answer together."""


CO_OCCURRENCE = {"same document", "same sentence"}
"""Learners that see what a question is about: they are right or wrong on all questions about the same words together."""


def _fair_groups(questions: Sequence[Row]) -> set[frozenset[str]]:
    """Sets of choices of which each is the answer equally often."""
    golds: defaultdict[frozenset[str], Counter[str]] = defaultdict(Counter)
    for question in questions:
        if len(question["answer"]) == 1:
            golds[frozenset(question["choices"])][question["choices"][question["answer"][0]]] += 1
    return {choices for choices, times in golds.items() if len(times) == len(choices) and len(set(times.values())) == 1}


def measure(
    kind: str, name: str, learner: Learner, questions: Sequence[Row], content: AbstractSet[str] = frozenset()
) -> Baseline:
    """The expected accuracy of a learner that draws one of the choices it prefers; `content`: words that are asked about."""
    right = chance = 0.0
    fair = _fair_groups(questions) if name in CHOICES_ALONE else set()
    deviations: defaultdict[tuple[str, ...], float] = defaultdict(float)
    clustered: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for number, question in enumerate(questions):
        choices, answer = question["choices"], question["answer"]
        picked = picks(learner(question))
        share = len(answer) / len(choices)
        right += len(picked.intersection(answer)) / len(picked)
        chance += share
        if len(choices) > 1:  # of a hypergeometric draw of the picks: more ties, less variance
            variance = share * (1 - share) * (len(choices) - len(picked)) / (len(picked) * (len(choices) - 1))
            gold = tuple(choices[index] for index in answer)
            if name not in CHOICES_ALONE:  # what it prefers differs from question to question
                deviations[(*gold, str(number))] += sqrt(variance)
                asked = {word for word in words(question["question"]) if word in content} if name in CO_OCCURRENCE else set()
                clustered[tuple(sorted(asked)) or (*gold, str(number))] += sqrt(variance)
            elif frozenset(choices) not in fair:  # in a fair group its score is certain
                deviations[gold] += sqrt(variance)
                clustered[gold] += sqrt(variance)
    n = len(questions)
    errors = [sqrt(sum(one**2 for one in parts.values())) / n for parts in (deviations, clustered)]
    return Baseline(kind, name, right / n, chance / n, errors[0], n, errors[1])


def baselines(train: Iterable[Row], questions: Sequence[Row]) -> list[Baseline]:
    """Measure every learner on every kind of question.

    Args:
        train: training documents, read once.
        questions: questions of any kinds, each with at least one choice.
    """
    content = content_words(questions)
    found = corpus(train, content)
    kinds: dict[str, list[Row]] = {}
    for question in questions:
        kinds.setdefault(question["kind"], []).append(question)
    return [
        measure(kind, name, learner, asked, content)
        for kind, asked in kinds.items()
        for name, learner in learners(found, content, max(len(q["choices"]) for q in asked)).items()
    ]
