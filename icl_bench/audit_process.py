"""Checks a dataset whose checker is `process`: formulas, and a transform whose rules are stated facts.

    rule("vorp[jowot(u)]", "(vorp[u] + x) * 3")           stated: what vorp makes of jowot(u), whatever u is
    transform("vorp[jowot(x)]", "((x ^ 3) + x) * 3")      follows, if the rules for jowot and for x are stated

The reader and the evaluator share no code with those that made the tables. A result is right if it is what the rules make
of the formula, sign by sign; a wrong choice must not even equal it after simplification.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set

from icl_bench.audit_facts import Truth
from icl_bench.audit_formulas import Spelling, Tree, read
from icl_bench.audit_questions import gold
from icl_bench.audit_text import Leaks
from icl_bench.known import Known
from icl_bench.schema import Fact
from icl_bench.shallow import Row

_APPLIED = re.compile(r"\w+[(\[]")
_PAIR = re.compile(r"(\w+)\((\w+)\)")
_WORDS = {"sum": "+", "product": "*", "power": "^"}


class Results(Known):
    """What follows from facts: themselves, and all that their rules make of formulas."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        super().__init__(facts)
        self._rules: dict[tuple[str, str], tuple[Tree, Tree]] = {}
        for fact in sorted(self._facts):
            subject, result = read(fact.subject), read(fact.object)
            if fact.relation == "rule" and subject and result and subject.head.endswith("["):
                self._rules[subject.head, subject.inside[0].head] = (subject.inside[0], result)
        self._operands = {one.head for pattern, _ in self._rules.values() for one in pattern.inside}
        patterns = {Tree(transform, (pattern,)) for (transform, _), (pattern, _) in self._rules.items()}
        self._spelling = Spelling(patterns | {result for _, result in self._rules.values()})

    def __contains__(self, fact: object) -> bool:
        return isinstance(fact, Fact) and (super().__contains__(fact) or self._equals(fact))

    def entity_at(self, tokens: Sequence[str], place: int) -> tuple[str | None, int] | None:
        """A formula, in whatever spelling."""
        return self._spelling.at(tokens, place)

    def meaning(self, fact: Fact) -> Hashable:
        """The same for results that are equal after simplification, on whichever side they stand."""
        one, other = read(fact.subject), read(fact.object)
        if one is None or other is None:
            return fact
        if other.head.endswith("[") and not one.head.endswith("["):
            one, other = other, one
        try:
            return fact.relation, one, other.values()
        except (ValueError, RecursionError):
            return fact.relation, one, other

    def _equals(self, fact: Fact) -> bool:
        """Are both sides equal, whatever the variables are, once every transform is applied that stands in them?"""
        sides = read(fact.subject), read(fact.object)
        if None in sides:
            return False
        try:
            one, other = (self._applied(side) for side in sides if side)
            return one == other or one.values() == other.values()
        except (KeyError, ValueError, RecursionError):
            return False

    def _applied(self, tree: Tree) -> Tree:
        """A formula without transforms, the inner ones applied first."""
        inside = tuple(map(self._applied, tree.inside))
        return self._transformed(tree.head, inside[0])[0] if tree.head.endswith("[") else Tree(tree.head, inside)

    def result(self, fact: Fact) -> tuple[Tree, int] | None:
        """What the rules make of a fact's formula, and how often they are used; None if one is missing."""
        formula = read(fact.subject)
        if formula is None or fact.relation != "transform" or not formula.head.endswith("["):
            return None
        try:
            return self._transformed(formula.head, formula.inside[0])
        except (KeyError, ValueError, RecursionError):
            return None

    def _transformed(self, transform: str, tree: Tree) -> tuple[Tree, int]:
        if tree.head in self._operands and (transform, tree.head) not in self._rules:
            return Tree(f"{transform}{tree.head}]"), 0  # of any formula: nothing can be said about it
        pattern, template = self._rules[transform, "n" if tree.head.isdigit() else tree.head]
        names = [one.head for one in pattern.inside]
        operands = dict(zip(names, tree.inside, strict=True)) if names else {pattern.head: tree}
        result, uses = self._put(template, operands)
        return result, uses + 1

    def _put(self, template: Tree, operands: Mapping[str, Tree]) -> tuple[Tree, int]:
        if template.head.endswith("["):
            return self._transformed(template.head, operands[template.inside[0].head])
        if not template.inside:
            return operands.get(template.head, template), 0
        parts = [self._put(one, operands) for one in template.inside]
        return Tree(template.head, tuple(tree for tree, _ in parts)), sum(uses for _, uses in parts)


class ProcessTruth(Truth):
    """What is stated and what the rules make of formulas."""

    def consequences(self, facts: Iterable[Fact]) -> Set[Fact]:
        """What follows from facts."""
        return Results(facts)

    def closure_faults(self) -> Iterator[str]:
        """Rules that are not stated or are there twice, and results, stated ones too, that the rules do not give."""
        rules = [entry for entry in self.table.values() if entry.fact.relation == "rule"]
        patterns = [entry.fact.subject for entry in rules]
        yield from (f"there are two rules for {one}" for one in sorted(set(patterns)) if patterns.count(one) > 1)
        yield from (f"{entry.fact} is a rule, and not stated" for entry in rules if entry.status != "stated")
        given = Results(entry.fact for entry in rules)
        for entry in self.table.values():
            if entry.fact.relation != "rule":
                found = given.result(entry.fact)
                if found is None or found[0] != read(entry.fact.object):
                    yield f"{entry.fact} is in the table but does not follow"

    def status_faults(self, asked: set[Fact]) -> Iterator[str]:
        """Facts with a wrong status, and asked ones that the table lacks."""
        yield from super().status_faults(asked)
        yield from (f"{fact} is asked but not in the table" for fact in sorted(asked) if fact.id not in self.table)

    def uses(self, ids: Sequence[str], facts: Sequence[Fact]) -> int:
        """How often the facts of a proof are used, all together."""
        if any(fact.id in ids for fact in facts):
            return len(ids)
        known = Results(self.table[one].fact for one in ids if one in self.table)
        return max((found[1] for fact in facts if (found := known.result(fact))), default=len(ids))

    def unnamed(self, fact: Fact, text: str) -> Iterator[str]:
        """Which sides of an equation are not in a text, sign by sign, or are no formula?"""
        yield from (end for end in fact[1:] if end not in text or read(end) is None)


class ProcessLeaks(Leaks):
    """What the training text must not say: answers, formulas that a test asks about, and pairs that are held out."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._answers: dict[str, None] = {}
        self._formulas: dict[str, None] = {}
        self._kept_out: dict[tuple[str, str], str] = {}
        self._trained: set[tuple[str, str]] = set()

    def ask(self, row: Row, split: str) -> Iterator[str]:
        """Note a question. Yields faults of its pairs: a held-out one in a formula that should have none, or none at all."""
        for index, fact in zip(row["answer"], gold(row), strict=True):
            self._answers[f"{row['question']} {row['choices'][index]}"] = None
            formula = read(fact.subject)
            pairs = set(formula.nested()) if formula else set()
            if split == "test":
                self._answers[f"{fact.subject} = {fact.object}"] = None
                self._formulas[fact.subject.partition("[")[2].removesuffix("]")] = None
            if row["kind"] == "composition":
                match = _PAIR.fullmatch(row["relation"])
                pair = (_WORDS.get(match[1], match[1]), _WORDS.get(match[2], match[2])) if match else ("", "")
                if pair not in pairs:
                    yield f"{row['relation']} is not a pair in {fact.subject}"
                self._kept_out[pair] = row["relation"]
            else:
                self._trained |= pairs
        for pair in sorted(self._trained & self._kept_out.keys()):
            yield f"{self._kept_out[pair]} is held out, but a question that is not about held-out pairs has it"

    def stated_faults(self, row: Row) -> Iterator[str]:
        """Facts that a document is said to state, but does not, sign by sign, or that are not stated facts."""
        for one in row["facts"]:
            if not self._truth.is_stated(one):
                yield f"its fact {one} is not among the stated facts"
                continue
            fact = self._truth.table[one].fact
            if f"{fact.subject} = {fact.object}" not in row["text"]:
                yield f"states {fact}, but does not say '{fact.subject} = {fact.object}'"

    def verbatim_faults(self, row: Row) -> Iterator[str]:
        """Answered questions, and results that a test asks for, that are in the text."""
        yield from (f"says {answer!r}" for answer in self._answers if answer in row["text"])

    def pair_faults(self, row: Row) -> Iterator[str]:
        """Formulas that a test asks about, alone or inside others."""
        yield from (f"names {one!r}, which a test question is about" for one in self._formulas if one in row["text"])

    def holdout_faults(self, row: Row) -> Iterator[str]:
        """Pairs that are held out, in any formula of the text; functions with brackets that do not fit."""
        text = row["text"]
        for match in _APPLIED.finditer(text):
            formula = read(text[match.start() : _closing(text, match.end())])
            if formula is None:
                yield f"{text[match.start() : match.start() + 40]!r} is no formula"
            else:
                found = sorted(self._kept_out.keys() & set(formula.nested()))
                yield from (f"has the held-out pair {self._kept_out[pair]}" for pair in found)


def _closing(text: str, start: int) -> int:
    """The place behind the bracket that closes the one before `start`."""
    depth = 1
    for place in range(start, len(text)):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(text[place], 0)
        if not depth:
            return place + 1
    return len(text)
