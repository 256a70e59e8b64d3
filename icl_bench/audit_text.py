"""Checks what the training text gives away: answers that it states, and categories that it should be silent about.

Entities are found as whole words in any case, the longest name first. Every check yields its faults in words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from icl_bench.audit_facts import Truth, plain
from icl_bench.audit_questions import gold
from icl_bench.schema import Fact
from icl_bench.shallow import Row, sentences, words


class Spotter:
    """Finds entities in text.

    >>> sorted(Spotter(["bears", "polar bears", "ice"])(words("Polar bears like ice.")))
    ['ice', 'polar bears']
    """

    def __init__(self, entities: Iterable[str]) -> None:
        self._from: dict[str, list[tuple[list[str], str]]] = defaultdict(list)
        for entity in dict.fromkeys(entities):
            name = words(entity)
            if name:
                self._from[name[0]].append((name, entity))
        for candidates in self._from.values():
            candidates.sort(key=lambda candidate: -len(candidate[0]))

    def __call__(self, text: Sequence[str]) -> set[str]:
        """The entities in a list of lower-case words."""
        found = set()
        skip = 0
        for start, word in enumerate(text):
            if start < skip:
                continue
            for name, entity in self._from.get(word, ()):
                if len(name) == 1 or text[start : start + len(name)] == name:
                    found.add(entity)
                    skip = start + len(name)
                    break
        return found


def ends_faults(row: Row) -> Iterator[str]:
    """Offsets that do not cut the text into sentences."""
    ends = row["sentence_ends"]
    if not ends or ends[-1] != len(row["text"]) or any(b <= a for a, b in zip([0, *ends], ends, strict=False)):
        yield f"sentence_ends {ends} do not rise from 0 to {len(row['text'])}, the length of the text"


class Leaks:
    """What the training text must not say. `ask` every question, then check every document."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._spot = Spotter(entity for entry in truth.table.values() for entity in entry.fact[1:])
        self._verbatim: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._asked: dict[str, set[str]] = defaultdict(set)
        self._held_out: dict[str, str] = {}
        self._stated_of: dict[str, list[Fact]] = defaultdict(list)
        for fact in truth.stated:
            self._stated_of[fact.subject].append(fact)
            self._stated_of[fact.object].append(fact)

    def ask(self, row: Row, split: str) -> Iterator[str]:
        """Note a question. Yields faults of a held-out category, of which one fact may be stated, its parent."""
        for index, fact in zip(row["answer"], gold(row), strict=True):
            texts = self._verbatim[fact.subject][fact.object]
            texts.add(plain(f"{row['question']} {row['choices'][index]}"))
            if split == "test":
                self._asked[fact.subject].add(fact.object)
                texts.add(plain(self._truth.sentences.get(fact) or row["text"]))
            if row["kind"] == "category_holdout":
                yield from self._hold_out(fact, row["facts"])

    def _hold_out(self, fact: Fact, proof: Sequence[str]) -> Iterator[str]:
        premises = [self._truth.table[one].fact for one in proof if one in self._truth.table]
        category = next((end for end in fact[1:] for premise in premises if premise.subject == end), None)
        if category is None:
            yield f"no premise of {fact} is about {fact.subject} or {fact.object}"
            return
        told = self._stated_of[category]
        if len(told) == 1:
            self._held_out[category] = told[0].id
        else:
            yield f"{category} is held out, but {len(told)} stated facts are about it"

    def stated_faults(self, row: Row) -> Iterator[str]:
        """Facts that a document is said to state, but that are not stated facts or whose entities it does not name."""
        text = plain(row["text"])
        for one in row["facts"]:
            if not self._truth.is_stated(one):
                yield f"its fact {one} is not among the stated facts"
                continue
            fact = self._truth.table[one].fact
            yield from (f"states {fact}, but does not name {end!r}" for end in fact[1:] if plain(end) not in text)

    def verbatim_faults(self, row: Row) -> Iterator[str]:
        """Answered questions, and asked facts as the table of facts words them, that are in the text."""
        text = plain(row["text"])
        found = self._spot(text.split())
        for entity in sorted(found & self._verbatim.keys()):
            for other in sorted(found & self._verbatim[entity].keys()):
                yield from (f"says {answer.strip()!r}" for answer in sorted(self._verbatim[entity][other]) if answer in text)

    def pair_faults(self, row: Row) -> Iterator[str]:
        """Sentences with both entities of an asked fact, in a document that states nothing of these two in this order.

        Every wording names the subject of what it states before the object, so a sentence that names the entities of an
        asked fact in its order states it, unless the document states another fact of the two in that order. A sentence that
        names all the entities of its document, three or more, is its list of terms and tells of no two.
        """
        facts = [self._truth.table[one].fact for one in row["facts"] if one in self._truth.table]
        stated = {fact[1:] for fact in facts}
        together = {frozenset(pair) for pair in stated}
        terms = frozenset().union(*together)
        for sentence in sentences(row):
            found = self._spot(words(sentence))
            if len(terms) > 2 and found >= terms:
                continue
            for entity in sorted(found & self._asked.keys()):
                for other in sorted(found & self._asked[entity]):
                    about = plain(sentence)
                    if frozenset((entity, other)) not in together or (
                        (entity, other) not in stated and about.index(plain(entity)) < about.index(plain(other))
                    ):
                        yield f"names {entity!r} and {other!r}, which a test question is about, in {sentence.strip()!r}"

    def holdout_faults(self, row: Row) -> Iterator[str]:
        """Held-out categories in a document that does not state their parent."""
        for category in sorted(self._spot(words(row["text"])) & self._held_out.keys()):
            if self._held_out[category] not in row["facts"]:
                yield f"names the held-out category {category!r} without stating its parent"
