"""Formulas: read strictly in tables, more freely in what a model writes.

    read("(x ^ 3) * 2")                  Tree, spelt as it must be
    "(x^3)×2", "x**3 * 2"                the same in a sentence, found by `Spelling.at`
    "vorp of jowot(x)", "vorp(jowot(x))" ->  "vorp[jowot(x)]"

Shares no code with what made the tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

_SIGN = re.compile(r" [+*^] |\w+[(\[]|\w+|[(\])]")
_OPERATORS = ("+", "*", "^")  # the later ones bind more tightly
_SAME = {"×": "*", "·": "*", "⋅": "*"}
_CLOSING = {"(": ")", "[": "]"}
_ATTACHED = frozenset("+-−*/^%÷×·⋅")
"""What belongs to a formula beside it, even if the two cannot be read as one."""
_PRIME = 2**89 - 1
_POINTS = (3, 5, 10**6 + 3, 10**20 + 7)


class Tree(NamedTuple):
    """A formula: `x`, a number, an operator, a function `jowot(` or a transform `vorp[` with what is inside."""

    head: str
    inside: tuple[Tree, ...] = ()

    def __str__(self) -> str:
        if self.head in _OPERATORS:
            left, right = (f"({one})" if one.head in _OPERATORS else str(one) for one in self.inside)
            return f"{left} {self.head} {right}"
        return f"{self.head}{self.inside[0]}{_CLOSING[self.head[-1]]}" if self.inside else self.head

    def parts(self) -> Iterator[Tree]:
        """Itself and all that is inside."""
        yield self
        for one in self.inside:
            yield from one.parts()

    def nested(self) -> Iterator[tuple[str, str]]:
        """(outer, inner) heads of all operations that stand directly in another."""
        for one in self.inside:
            if one.inside:
                yield self.head.rstrip("([ "), one.head.rstrip("([ ")
            yield from one.nested()

    def value(self, x: int) -> int:
        """Its value, modulo a prime, where a variable other than x has some large value of its own.

        Raises:
            ValueError: it holds functions or transforms.
        """
        if not self.inside:
            return x if self.head == "x" else self._constant(x)
        if len(self.inside) < 2:
            raise ValueError(self.head)
        left, right = self.inside
        if self.head == "^":
            return pow(left.value(x), right._constant(x), _PRIME)
        one, other = left.value(x), right.value(x)
        return (one + other if self.head == "+" else one * other) % _PRIME

    def _constant(self, x: int) -> int:
        """What a number or a variable stands for. Only these are exponents."""
        if self.inside or self.head == "x":
            raise ValueError(self.head)
        if self.head.isdecimal():
            return int(self.head)
        return int.from_bytes(sha256(f"{self.head} {x}".encode()).digest()) % _PRIME

    def values(self) -> tuple[int, ...]:
        """Its values at fixed points: the same for formulas that are equal however they are simplified.

        Raises:
            ValueError: it holds functions or transforms.
        """
        return tuple(map(self.value, _POINTS))


def read(text: str) -> Tree | None:
    """The formula in a text; None if it is none, or puts an operation into another without brackets.

    >>> read("jowot(x) * 3")
    Tree(head='*', inside=(Tree(head='jowot(', inside=(Tree(head='x', inside=()),)), Tree(head='3', inside=())))
    """
    signs = _SIGN.findall(text)
    if "".join(signs) != text:
        return None
    try:
        tree, rest = _formula(signs)
    except (IndexError, RecursionError):
        return None
    return None if rest else tree


def _formula(signs: Sequence[str]) -> tuple[Tree, Sequence[str]]:
    left, rest = _operand(signs)
    if rest and rest[0].startswith(" "):
        right, after = _operand(rest[1:])
        return Tree(rest[0].strip(), (left, right)), after
    return left, rest


def _operand(signs: Sequence[str]) -> tuple[Tree, Sequence[str]]:
    """Raises IndexError where a formula ends too early or a bracket does not fit."""
    sign = signs[0]
    if sign[-1] in "([":
        one, rest = _formula(signs[1:])
        if rest[0] != {"(": ")", "[": "]"}[sign[-1]] or (sign == "(" and len(one.inside) < 2):
            raise IndexError
        return (one if sign == "(" else Tree(sign, (one,))), rest[1:]
    if not sign.isalnum():
        raise IndexError
    return Tree(sign), signs[1:]


class Spelling:
    """Finds formulas in sentences, in whatever spelling: spaces and superfluous brackets do not matter, `*` binds before `+`.

    Args:
        trees: formulas that hold all names of functions, transforms and variables.
    """

    def __init__(self, trees: Iterable[Tree]) -> None:
        heads = {part.head for tree in trees for part in tree.parts()} - set(_OPERATORS)
        self._heads = {"(": "(", **{head[:-1]: head for head in sorted(heads) if head[-1] in "(["}}
        self._transforms = {head[:-1] for head in heads if head[-1] == "["}
        self._variables = {head for head in heads if head[-1] not in "([" and not head.isdecimal()}

    def at(self, tokens: Sequence[str], place: int) -> tuple[str | None, int] | None:
        """The longest formula that starts at a place, as in facts, and the place behind it.

        None in its stead if other signs belong to it, or brackets do not fit; None if no formula starts there.
        """
        try:
            tree, end = self._named(tokens, place) or self._level(tokens, place, 0)
            text = str(tree)
        except ValueError:
            return None
        except RecursionError:  # deeper than any formula of a world
            return None, place + 1
        before, after = tokens[place - 1] if place else "", tokens[end] if end < len(tokens) else ""
        whole = before not in _ATTACHED and after not in _ATTACHED and after not in _CLOSING and _balanced(tokens)
        return (text if whole else None), end

    def _named(self, tokens: Sequence[str], place: int) -> tuple[Tree, int] | None:
        """`vorp of jowot(x)`, `vorp applied to jowot(x)`."""
        for words in (("of",), ("applied", "to")):
            end = place + 1 + len(words)
            if tokens[place] in self._transforms and tuple(tokens[place + 1 : end]) == words:
                tree, end = self._operand(tokens, end)
                return Tree(f"{tokens[place]}[", (tree,)), end
        return None

    def _level(self, tokens: Sequence[str], place: int, level: int) -> tuple[Tree, int]:
        """Operands joined by the operator of a level and those that bind more tightly. A power of a power needs brackets."""
        if level == len(_OPERATORS):
            return self._operand(tokens, place)
        tree, place = self._level(tokens, place, level + 1)
        while (found := _operator(tokens, place)) and found[0] == _OPERATORS[level]:
            other, place = self._level(tokens, found[1], level + 1)
            tree = Tree(found[0], (tree, other))
            if found[0] == "^":
                break
        return tree, place

    def _operand(self, tokens: Sequence[str], place: int) -> tuple[Tree, int]:
        """Raises ValueError if there is none."""
        first, second = [*tokens[place : place + 2], "", ""][:2]
        bracket = first if first == "(" else second
        if first in self._heads and (bracket == "(" or (bracket == "[" and first in self._transforms)):
            inside, end = self._level(tokens, place + (1 if first == "(" else 2), 0)
            if tokens[end : end + 1] != [_CLOSING[bracket]]:
                raise ValueError(first)
            return (inside if first == "(" else Tree(self._heads[first], (inside,))), end + 1
        if first in self._variables or (first.isascii() and first.isdecimal()):
            return Tree(first), place + 1
        raise ValueError(first)


def _operator(tokens: Sequence[str], place: int) -> tuple[str, int] | None:
    """The operator at a place, and the place behind it."""
    signs = [_SAME.get(token, token) for token in tokens[place : place + 2]]
    if signs == ["*", "*"]:
        return "^", place + 2
    return (signs[0], place + 1) if signs and signs[0] in _OPERATORS else None


def _balanced(tokens: Sequence[str]) -> bool:
    """Does every bracket have its other half?"""
    waiting: list[str] = []
    for token in tokens:
        if token in _CLOSING:
            waiting.append(_CLOSING[token])
        elif token in _CLOSING.values() and (not waiting or waiting.pop() != token):
            return False
    return not waiting
