"""What the process world is drawn from: the rules of a transform, and groups of formulas to apply it to.

    vorp[jowot(u)] = (vorp[u] + x) * 3        rules of functions and powers: the transformed operand, x, and a number
    vorp[u + v] = (vorp[u] ^ 3) * vorp[v]     rules of sums and products: both transformed operands, and a number
    vorp[x] = x ^ 3, vorp[n] = n + x

No rule keeps an operand as it is, and all rules of a sort are made of the same parts: a result does not show which function
it came from, neither by a name nor by its length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from itertools import product
from typing import NamedTuple

from icl_bench.streams import Stream, stream
from icl_bench.worlds.formulas import OPERATORS, Formula, Rules, X, steps

Pairs = Set[tuple[str, str]]
"""(outer, inner): heads of formulas of which one stands directly in the other."""
Class = tuple[str, str]
"""Two heads that take the same operands, so that one may stand for the other."""
ARITHMETIC: tuple[Class, ...] = (("+", "*"), ("^", "+"), ("^", "*"))
_ATTEMPTS = 200
"""Groups drawn in vain before one gives up: every one is a formula that was there before, or results that are equal."""


def _of(head: str, *arguments: Formula) -> Formula:
    return Formula(head, arguments)


def _combined(one: Formula, other: Formula, number: Formula) -> Iterator[Formula]:
    """All that two formulas and a number make with two operators; only numbers are exponents."""
    for inner, outer in product("+*", OPERATORS):
        yield _of(outer, _of(inner, one, other), number)
    for inner, outer in product(OPERATORS, "+*"):
        yield _of(outer, _of(inner, one, number), other)


def _different(formulas: Iterator[Formula]) -> list[Formula]:
    """Those that are not equal to one before, whatever u, v and n are."""
    stand_in = {"u": _of("^", X, Formula("7")), "v": _of("+", X, Formula("5"))}

    def filled(one: Formula) -> Formula:
        if one.head.endswith("[]"):
            return stand_in[one.arguments[0].head]
        return Formula("11" if one.head == "n" else one.head, tuple(map(filled, one.arguments)))

    found: dict[tuple[int, ...], Formula] = {}
    for one in formulas:
        found.setdefault(filled(one).fingerprint(), one)
    return list(found.values())


def draw_rules(seed: int, transform: str, functions: Sequence[str]) -> dict[str, Formula]:
    """A rule for x, numbers, sums, products, powers and every function; no two functions have the same."""
    draws = stream(seed, "process", "rules")
    number = Formula(str(2 + draws.below(3)))
    u, v, n = (_of(f"{transform}[]", Formula("u")), _of(f"{transform}[]", Formula("v")), Formula("n"))
    unary = draws.shuffled(_different(_combined(u, X, number)))
    binary = draws.shuffled(_different(one for pair in ((u, v), (v, u)) for one in _combined(*pair, number)))
    power = draws.choice(_different(_combined(u, X, n)))
    return {
        "x": _of(draws.choice(OPERATORS), X, number),
        "n": _of(draws.choice("+*"), n, X),
        **dict(zip("+*", binary, strict=False)),
        "^": power,
        **dict(zip(functions, unary, strict=False)),
    }


def most_functions() -> int:
    """How many functions can have different rules."""
    return len(_different(_combined(_of("t[]", Formula("u")), X, Formula("3")))) // 2 * 2


class Split(NamedTuple):
    """Which pairs are held out. Functions come in pairs, 1 to m; pair k+1 in pair k is held out, and arithmetic in pair 1."""

    functions: tuple[Class, ...]
    held_out: Pairs
    trained_blocks: tuple[tuple[Class, Class], ...]
    """(outer, inner) classes of which no pair is held out; together they hold every pair that is not."""
    control_blocks: tuple[tuple[Class, Class], ...]
    """Those with functions outside, as in what is held out."""
    held_out_blocks: tuple[tuple[Class, Class], ...]


def split(functions: Sequence[str]) -> Split:
    """Hold out pairs of an even number of functions, six or more."""
    classes: list[Class] = list(zip(functions[::2], functions[1::2], strict=True))
    blocks = [(one, classes[(k + 1) % len(classes)]) for k, one in enumerate(classes)]
    blocks += [(classes[0], arithmetic) for arithmetic in ARITHMETIC]
    held_out = {pair for block in blocks for pair in product(*block)}
    every: list[Class] = [*classes, *ARITHMETIC]
    trained = [(outer, inner) for outer in every for inner in every if held_out.isdisjoint(product(outer, inner))]
    return Split(
        functions=tuple(classes),
        held_out=held_out,
        trained_blocks=tuple(trained),
        control_blocks=tuple(block for block in trained if block[0] in classes),
        held_out_blocks=tuple(blocks),
    )


class Group(NamedTuple):
    """Four formulas that differ in two places, a head and the head directly inside it, and what becomes of each."""

    formulas: tuple[Formula, ...]
    results: tuple[Formula, ...]
    rules: tuple[tuple[str, ...], ...]
    """The kinds of the rules applied to each, in order."""
    pairs: tuple[tuple[str, str], ...]
    """The two heads."""


class Groups:
    """Draws groups, none of whose formulas is in one before."""

    def __init__(self, seed: int, transform: str, rules: Rules, held_out: Pairs, functions: Sequence[str], most: int) -> None:
        """`most`: operators and functions in a formula, two or more."""
        self._seed, self._transform, self._rules, self._most = seed, f"{transform}[]", rules, most
        self._held_out = held_out
        self._heads = (*OPERATORS, *functions)
        self.known: set[Formula] = set()
        """Formulas that may not be drawn: those that were, with all that stands inside them."""

    def draw(self, name: str, number: int, block: tuple[Class, Class]) -> Group | None:
        """Group `number` of a name; None if no new one is found."""
        for attempt in range(_ATTEMPTS):
            found = self._attempt(stream(self._seed, "process", name, number, attempt), block)
            if found is not None:
                for formula in found.formulas:
                    self.known.update(formula.parts())
                return found
        return None

    def worked(self, formula: Formula) -> tuple[tuple[str, ...], tuple[Formula, ...]]:
        """The kinds of the rules applied to a formula, and what each leaves."""
        kinds, left = zip(*steps(self._rules, self._transform, formula), strict=True)
        return kinds, left

    def _attempt(self, draws: Stream, block: tuple[Class, Class]) -> Group | None:
        outer, inner = block
        around, inside = self._shares(draws, draws.below(self._most - 1), 2)
        first, second = self._shares(draws, inside, 2)
        core = self._operands(draws, inner, first)
        beside = self._operands(draws, outer, second, only_second=True)
        wrap = self._wrapper(draws, outer, around)
        pairs = tuple(product(outer, inner))
        formulas = tuple(wrap(_applied(o, _applied(i, *core), beside[1])) for o, i in pairs)
        if not self.known.isdisjoint(formulas):
            return None
        worked = [self.worked(formula) for formula in formulas]
        results = tuple(left[-1] for _, left in worked)
        if len({result.fingerprint() for result in results}) < len(results):
            return None
        return Group(formulas, results, tuple(kinds for kinds, _ in worked), pairs)

    @staticmethod
    def _shares(draws: Stream, total: int, parts: int) -> list[int]:
        shares = [0] * parts
        for _ in range(total):
            shares[draws.below(parts)] += 1
        return shares

    def _fits(self, outer: Class, inner: str) -> bool:
        return all((one, inner) not in self._held_out for one in outer)

    def _operands(self, draws: Stream, heads: Class, size: int, only_second: bool = False) -> tuple[Formula, Formula]:
        """Operands that fit under both heads, with `size` operators and functions in them; a number under a power."""
        if "^" in heads:
            return X if only_second else self._drawn(draws, heads, size), Formula(str(2 + draws.below(4)))
        if heads[0] not in OPERATORS:
            return X if only_second else self._drawn(draws, heads, size), X
        left = 0 if only_second else draws.below(size + 1)
        right = self._drawn(draws, heads, size - left) if size > left else self._leaf(draws)
        return self._drawn(draws, heads, left), right

    def _drawn(self, draws: Stream, above: Class, size: int) -> Formula:
        """A formula of `size` operators and functions that may stand under both heads."""
        if not size:
            return X
        head = draws.choice([one for one in self._heads if self._fits(above, one)])
        return _applied(head, *self._operands(draws, (head, head), size - 1))

    @staticmethod
    def _leaf(draws: Stream) -> Formula:
        return X if draws.below(2) else Formula(str(2 + draws.below(8)))

    def _wrapper(self, draws: Stream, inner: Class, size: int) -> Callable[[Formula], Formula]:
        """What puts `size` operators and functions around a formula with either head."""
        layers: list[tuple[str, Formula, bool]] = []
        inside = inner
        for _ in range(size):
            fitting = [head for head in self._heads if all((head, one) not in self._held_out for one in inside)]
            head = draws.choice(fitting)
            layers.append((head, self._operands(draws, (head, head), 0, only_second=True)[1], draws.below(2) > 0))
            inside = (head, head)

        def wrap(formula: Formula) -> Formula:
            for head, other, turned in layers:
                formula = _applied(head, *((other, formula) if turned and head in "+*" else (formula, other)))
            return formula

        return wrap


def _applied(head: str, one: Formula, other: Formula) -> Formula:
    """The head on its operands; a function takes the first."""
    return Formula(head, (one, other)) if head in OPERATORS else Formula(head, (one,))
