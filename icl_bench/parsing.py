"""Sentences to facts: the templates read backwards.

    "Therefore, all gruds are abmes."            ->  is_a(gruds, abmes)
    "- Gruds can blim and florp."                ->  can(gruds, blim), can(gruds, florp)
    "Gruds are abmes, so gruds are rony."        ->  is_a(gruds, abmes), is(gruds, rony)
    "If gruds were abmes, they might be rony."   ->  not understood

Every wording of a world (its statements, questions, and `readings/`, which are only ever read) becomes a key: its words with
marks in place of the entities. A sentence is understood if what is left of it, once its entities are marked, is such a key,
so that a look-up costs the same in a world of a hundred thousand entities. Tolerated are case, punctuation, articles, number
(one grud), list marks, lists of entities, and the connectives in `templates/augment/reading.yaml`; nothing else is: a negation
or a doubt is no key. Where one key has several readings, the roles of the entities decide: "all gruds are abmes" is `is_a`, and
"all gruds are rony" is `is`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, product
from typing import NamedTuple

from icl_bench.known import Known
from icl_bench.schema import Fact, World
from icl_bench.wording_keys import ARTICLES, MALFORMED, PLACE, Key, Words, connectives, frames, keys_of, plain, tokenize

_LIST_MARK = re.compile(r"\s*(?:[-*•>#]+|\(?\d+[.):])\s+")
_END = re.compile(r"[.!?]+[\"'”’)\]*_]*(?=\s|$)")
_EMPHASIS = " \n*_`$"  # around a whole sentence
_MOST_MENTIONS = 16


class Mention(NamedTuple):
    """An entity, or a list of them, in a sentence."""

    entities: tuple[str, ...]
    words: Words


Item = str | Mention


def sentence_ends(text: str) -> tuple[int, ...]:
    """Offsets at which the sentences of a text end: at line ends and after full stops. List marks end nothing.

    >>> sentence_ends("1. Gruds are abmes. Abmes are rony.\\n- So are gruds.")
    (19, 36, 51)
    """
    ends: list[int] = []
    start = 0
    for line in text.splitlines(keepends=True):
        mark = _LIST_MARK.match(line)
        stops = [stop.end() for stop in _END.finditer(line, mark.end() if mark else 0)]
        stops = [stop for stop in stops if line[stop:].strip()] + [len(line)]
        last = 0
        for stop in stops:
            if re.search(r"\w", line[last:stop]):
                ends.append(start + stop)
            elif ends:  # without a word: a part of the sentence before
                ends[-1] = start + stop
            last = stop
        start += len(line)
    return (*ends[:-1], len(text)) if text else ()


class Parser:
    """Reads sentences about one world.

    Args:
        world: gives the wordings.
        facts: everything that is true in it: its entities and their roles, and the judge between readings that fit equally.
            `Known` facts also tell entities that none of them names.

    Raises:
        IclBenchError: the world has relations that no template words.
    """

    def __init__(self, world: World, facts: Iterable[Fact]) -> None:
        self._facts = facts if isinstance(facts, Known) else Known(facts)
        self._table = frozenset(self._facts)
        self._keys = keys_of(world)
        self._sizes = sorted({len(key.slots) for keys in self._keys.values() for key in keys})
        common = connectives()
        self._joints, self._separators = common.joints, common.separators
        self._lead_ins: dict[str, list[Words]] = defaultdict(list)
        for line in sorted({*common.lead_ins, *frames(world)}, key=lambda line: (-len(line), line)):
            self._lead_ins[line[0]].append(line)
        self._roles = _Roles(self._facts)
        self._names = _names(self._facts)

    def __call__(self, sentence: str) -> tuple[Fact, ...]:
        """The facts that a sentence states, true or not; none if any part of it is not understood."""
        mark = _LIST_MARK.match(sentence)
        items = self._spot(tokenize((sentence[mark.end() :] if mark else sentence).strip(_EMPHASIS)))
        while items and isinstance(last := items[-1], str) and not (last[0].isalnum() or last in ("?", MALFORMED)):
            items.pop()
        asked = items[-1:] == ["?"]
        if asked:
            items.pop()
        return tuple(dict.fromkeys(self._read(items, asked) or ()))

    def _spot(self, tokens: Sequence[str]) -> list[Item]:
        """Entities marked, the longest names first."""
        items: list[Item] = []
        place = 0
        while place < len(tokens):
            if found := self._facts.entity_at(tokens, place):
                entity, end = found
                items.append(MALFORMED if entity is None else Mention((entity,), tuple(tokens[place:end])))
                place = end
                continue
            for name, entity in self._names.get(tokens[place], ()):
                if tuple(tokens[place : place + len(name)]) == name:
                    items.append(Mention((entity,), name))
                    place += len(name)
                    break
            else:
                items.append(tokens[place])
                place += 1
        return items

    def _read(self, items: list[Item], asked: bool) -> list[Fact] | None:
        found = self._single(items, asked)
        if found or asked:
            return found
        for place in range(1, len(items) - 1):
            joint = next((joint for joint in self._joints if tuple(items[place : place + len(joint)]) == joint), None)
            if joint is not None:
                before = self._single(items[:place], asked)
                after = before and self._read(items[place + len(joint) :], asked)
                if before and after:
                    return before + after
        return None

    def _single(self, items: list[Item], asked: bool) -> list[Fact] | None:
        return self._statement(items, asked) or self._statement(self._listed(items), asked)

    def _statement(self, items: list[Item], asked: bool) -> list[Fact] | None:
        """The facts of a single statement. Mentions that are no entity here but words of the template are tried as such."""
        mentions = [place for place, item in enumerate(items) if isinstance(item, Mention)]
        lists = [place for place in mentions if len(items[place][0]) > 1 and isinstance(items[place], Mention)]
        if len(mentions) > _MOST_MENTIONS:
            return None
        for size in self._sizes:
            for chosen in combinations(mentions, size):
                if not set(lists) <= set(chosen):
                    continue
                words: list[str] = []
                for place, item in enumerate(items):
                    if not isinstance(item, Mention):
                        words.append(item)
                    elif place in chosen:
                        words.append(PLACE)
                    else:
                        words.extend(item.words)
                entities = [item.entities for place in chosen if isinstance(item := items[place], Mention)]
                for key in self._without_lead_ins(plain(words), asked):
                    if found := self._facts_of(self._keys.get(key, ()), entities):
                        return found
        return None

    def _without_lead_ins(self, words: Words, asked: bool) -> Iterator[Words]:
        """The words, and again without each lead-in that they begin with. A question counts only after one."""
        while words:
            if not asked:
                yield words
            lead_in = next((line for line in self._lead_ins.get(words[0], ()) if words[: len(line)] == line), None)
            if lead_in is None:
                return
            words, asked = words[len(lead_in) :], False

    def _facts_of(self, keys: Sequence[Key], entities: Sequence[tuple[str, ...]]) -> list[Fact] | None:
        facts: list[Fact] = []
        for choice in product(*entities):
            readings = list(filter(None, (_bind(key, choice) for key in keys)))
            fitting = [fact for fact in readings if self._roles.fit(fact)] or readings[:1]
            if not fitting:
                return None
            true = [fact for fact in fitting if fact in self._facts]
            facts += [fact for fact in true if fact in self._table] or true[:1] or fitting[:1]
        return facts

    def _listed(self, items: list[Item]) -> list[Item]:
        """Neighbouring mentions, apart from commas and "and", as one."""
        joined: list[Item] = []
        place = 0
        while place < len(items):
            item = items[place]
            place += 1
            if isinstance(item, Mention):
                entities = item.entities
                while (after := self._after_separator(items, place)) is not None:
                    entities += items[after].entities  # type: ignore[union-attr]
                    place = after + 1
                item = Mention(entities, item.words)
            joined.append(item)
        return joined

    def _after_separator(self, items: list[Item], place: int) -> int | None:
        """Where the next mention stands, if only a separator and articles come before it."""
        for separator in self._separators:
            if tuple(items[place : place + len(separator)]) == separator:
                after = place + len(separator)
                while after < len(items) and items[after] in ARTICLES:
                    after += 1
                if after < len(items) and isinstance(items[after], Mention):
                    return after
        return None


def _bind(key: Key, entities: Sequence[str]) -> Fact | None:
    """The fact that a key states of entities; None if one slot would have two of them, or both the same."""
    bound: dict[str, str] = {}
    if not all(bound.setdefault(slot, entity) == entity for slot, entity in zip(key.slots, entities, strict=True)):
        return None
    return Fact(key.relation, bound["subject"], bound["object"])


class _Roles:
    """Entities that stand in the same places of facts have the same role: categories, adjectives, names, ..."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._parent: dict[tuple[str, ...], tuple[str, ...]] = {}
        for fact in sorted(facts):
            for place, entity in (("subject", fact.subject), ("object", fact.object)):
                one, other = self._find((entity,)), self._find((fact.relation, place))
                self._parent[one] = other

    def _find(self, node: tuple[str, ...]) -> tuple[str, ...]:
        root = node
        while (above := self._parent.setdefault(root, root)) != root:
            root = above
        while node != root:  # shorter paths for the next time
            self._parent[node], node = root, self._parent[node]
        return root

    def fit(self, fact: Fact) -> bool:
        """Do entities of these roles stand in this relation? One that no fact has fits all."""
        places = ((fact.subject, (fact.relation, "subject")), (fact.object, (fact.relation, "object")))
        return all(place not in self._parent or self._find((entity,)) == self._find(place) for entity, place in places)


def _names(facts: Iterable[Fact]) -> dict[str, list[tuple[Words, str]]]:
    """First word -> the names that begin with it, in both numbers, with and without an article, the longest first."""
    names = {tuple(tokenize(entity)): entity for fact in sorted(facts) for entity in fact[1:]}
    for name, entity in list(names.items()):
        if name[0] in ARTICLES and len(name) > 1:
            names.setdefault(name[1:], entity)
    for name, entity in list(names.items()):
        last = name[-1]
        if last.isalpha():
            other = last[:-1] if last.endswith("s") and len(last) > 3 else f"{last}s"
            names.setdefault((*name[:-1], other), entity)
    found: dict[str, list[tuple[Words, str]]] = defaultdict(list)
    for name, entity in sorted(names.items(), key=lambda item: (-len(item[0]), item[0])):
        found[name[0]].append((name, entity))
    return found
