"""Formulas: sums, products, powers and named functions of x, and rules that rewrite them.

jowot((x * 4) + x)      a formula; every operation inside another stands in brackets, so nothing is left to precedence
vorp[jowot(u)] = (vorp[u] + x) * 3     a rule: what the transform vorp makes of jowot(u), whatever u is
vorp[jowot(x)]  ->  (vorp[x] + x) * 3  ->  ((x ^ 3) + x) * 3      its steps, the leftmost vorp first
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

OPERATORS = ("+", "*", "^")
_PRIME = 2**61 - 1
_POINTS = (2, 3, 1_000_003, 982_451_653)


class Formula(NamedTuple):
    """A head and its arguments: `x`, a number, an operator, a function, or a transform (`vorp[]`)."""

    head: str
    arguments: tuple[Formula, ...] = ()

    def __str__(self) -> str:
        if self.head in OPERATORS:
            left, right = (f"({one})" if one.head in OPERATORS else str(one) for one in self.arguments)
            return f"{left} {self.head} {right}"
        if not self.arguments:
            return self.head
        inside = ", ".join(map(str, self.arguments))
        return f"{self.head[:-1]}{inside}]" if self.head.endswith("[]") else f"{self.head}({inside})"

    @property
    def kind(self) -> str:
        """What a rule is about: the head, or `n` for any number."""
        return "n" if self.head.isdigit() else self.head

    def parts(self) -> Iterator[Formula]:
        """Itself and all formulas inside, from left to right."""
        yield self
        for one in self.arguments:
            yield from one.parts()

    def nestings(self) -> Iterator[tuple[str, str]]:
        """The pairs of operators or functions of which one stands directly in the other."""
        for part in self.parts():
            yield from ((part.head, one.head) for one in part.arguments if one.arguments)

    def value(self, x: int) -> int:
        """Its value at x, modulo a prime; for formulas of operators alone."""
        if self.head == "x":
            return x
        if not self.arguments:
            return int(self.head)
        left, right = self.arguments
        if self.head == "^":
            return pow(left.value(x), int(right.head), _PRIME)
        one, other = left.value(x), right.value(x)
        return (one + other if self.head == "+" else one * other) % _PRIME

    def fingerprint(self) -> tuple[int, ...]:
        """Values at fixed points: the same for formulas that are equal however they are simplified, different for others."""
        return tuple(map(self.value, _POINTS))


X = Formula("x")
Rules = Mapping[str, Formula]
"""kind of formula -> what a transform makes of it, in which u and v stand for operands, n for a number."""


def pattern(kind: str) -> Formula:
    """The formulas that a rule is about: `jowot(u)`, `u + v`, `u ^ n`, `x`, `n`."""
    if kind in ("x", "n"):
        return Formula(kind)
    if kind in OPERATORS:
        return Formula(kind, (Formula("u"), Formula("n" if kind == "^" else "v")))
    return Formula(kind, (Formula("u"),))


def _filled(template: Formula, values: Mapping[str, Formula]) -> Formula:
    if template.head in values:
        return values[template.head]
    return Formula(template.head, tuple(_filled(one, values) for one in template.arguments))


def rewritten(rules: Rules, formula: Formula) -> Formula:
    """What the rule for a formula makes of it, with the transform still to be applied to its operands."""
    if formula.kind == "n":
        return _filled(rules["n"], {"n": formula})
    names = [one.head for one in pattern(formula.kind).arguments]
    return _filled(rules[formula.kind], dict(zip(names, formula.arguments, strict=True)))


def steps(rules: Rules, transform: str, formula: Formula) -> Iterator[tuple[str, Formula]]:
    """(kind of the rule, what it leaves) for every rule applied to `transform[formula]`, until no transform is left."""

    def first(one: Formula) -> tuple[Formula, str] | None:
        """With its leftmost transform rewritten, and by which rule."""
        if one.head == transform:
            return rewritten(rules, one.arguments[0]), one.arguments[0].kind
        for i, argument in enumerate(one.arguments):
            if found := first(argument):
                return Formula(one.head, (*one.arguments[:i], found[0], *one.arguments[i + 1 :])), found[1]
        return None

    current = Formula(transform, (formula,))
    while found := first(current):
        current = found[0]
        yield found[1], current
