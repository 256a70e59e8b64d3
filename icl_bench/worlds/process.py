"""process: a transform of functions, like a derivative with uncommon rules, shown in worked examples.

    document    "Take jowot((x * 4) + x), and find vorp[jowot((x * 4) + x)]. Since vorp[jowot(u)] = (vorp[u] + x) * 3, this is
                (vorp[(x * 4) + x] + x) * 3. ... So vorp[jowot((x * 4) + x)] = ..."
    question    "A careful reader finds that vorp[jowot(pecir(x))] =" -> four results
    answer      "((((x ^ 3) * x) + 3) + x) * 3"

After the process knowledge of Lampinen et al. (2025, arXiv 2505.00661, appendix B.5), whose rules are not public: these are ours.
A transform has a rule for x, numbers, sums, products, powers and each named function; rules apply from outside to inside,
and nothing is simplified. Certain pairs, such as pecir directly in jowot, are held out: they stand in no training document,
neither in an example nor in any of its steps, while every rule and all other pairs do. Test questions of the kind
`composition` ask for formulas with a held-out pair; `new_formula` asks for formulas of the same make with trained pairs.

Four questions share their choices: they differ in two heads (jowot or tolp, with pecir or femp inside), and each choice is
the result of one of them. So a wrong choice has the rule of another operator in one place or in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from pydantic import Field, field_validator

from icl_bench.errors import IclBenchError
from icl_bench.schema import Ask, Bundle, Derivation, Fact, Line, Positive, Relation, Scripted, World, WorldConfig
from icl_bench.worlds.formulas import OPERATORS, Formula, X, pattern
from icl_bench.worlds.procedures import Class, Group, Groups, draw_rules, most_functions, split

_NAMES = {"+": "sum", "*": "product", "^": "power"}
_SIZE = 4  # formulas of a group


class Config(WorldConfig):
    """The sizes of a process world."""

    functions: int = Field(default=6, ge=6, le=most_functions())
    """Named functions, an even number."""
    documents: Positive = 800
    """Worked examples."""
    most_operators: int = Field(default=4, ge=2, le=8)
    """The most operators and functions in a formula; the least is two, but for the first examples."""
    questions: int = Field(default=200, ge=_SIZE)
    """The most questions of each kind; they come by fours."""

    @field_validator("functions")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError(f"functions are held out by pairs; use {value - 1} or {value + 1}")
        return value


def _pair(outer: str, inner: str) -> str:
    """A pair in words: `jowot(sum)`."""
    return f"{_NAMES.get(outer, outer)}({_NAMES.get(inner, inner)})"


def sample(config: Config, seed: int, words: Callable[[int], list[str]]) -> World:
    """Draw rules, examples and questions. `words(n)` gives the first n words of the dataset's vocabulary."""
    transform, *functions = words(1 + config.functions)
    rules = draw_rules(seed, transform, functions)
    parts = split(functions)
    groups = Groups(seed, transform, rules, parts.held_out, functions, config.most_operators)
    stated = {kind: Fact("rule", f"{transform}[{pattern(kind)}]", str(result)) for kind, result in rules.items()}

    def claim(formula: Formula, result: Formula) -> Fact:
        return Fact("transform", f"{transform}[{formula}]", str(result))

    def script(formula: Formula) -> tuple[Line, ...]:
        kinds, left = groups.worked(formula)
        frame = {"transform": transform, "formula": str(formula)}
        lines = [Line("opening", frame, ())]
        for turn, (kind, after) in enumerate(zip(kinds, left, strict=True)):
            rule = {"subject": stated[kind].subject, "object": stated[kind].object, "after": str(after)}
            lines.append(Line("first_step" if turn == 0 else "step", frame | rule, (stated[kind],)))
        result = claim(formula, left[-1])
        return (*lines, Line("conclusion", {"subject": result.subject, "object": result.object}, (result,)))

    singles = _singles(functions)
    groups.known.update(singles)
    drawn = _drawn(groups, "train", parts.trained_blocks, (config.documents - len(singles)) // _SIZE + 1)
    least = len(singles) + _SIZE * len(parts.trained_blocks)
    if config.documents < least:
        raise IclBenchError(
            f"process.documents = {config.documents}: {config.functions} functions need {least} to train every rule and pair; "
            "use more documents, or fewer functions"
        )
    trained = list(drawn)
    examples = [*singles, *(formula for group in trained for formula in group.formulas)][: config.documents]
    if len(examples) < config.documents:
        raise IclBenchError(
            f"process.documents = {config.documents}: there are examples for {len(examples)}; "
            "use fewer documents, or more most_operators"
        )
    whole = trained[: (config.documents - len(singles)) // _SIZE]
    asked = {
        "rephrase": _spread(whole, config.questions // _SIZE),
        "new_formula": list(_drawn(groups, "new_formula", parts.control_blocks, config.questions // _SIZE)),
        "composition": list(_drawn(groups, "composition", parts.held_out_blocks, config.questions // _SIZE)),
    }
    kinds: dict[Fact, str] = {}
    labels: dict[Fact, str] = {}
    choices: dict[Fact, list[Fact]] = {}
    derivations = []
    for kind, found in asked.items():
        for group in found:
            for formula, result, used, pair in zip(*group, strict=True):
                fact = claim(formula, result)
                kinds[fact], labels[fact] = kind, _pair(*pair)
                choices[fact] = [claim(formula, other) for other in group.results]
                if kind != "rephrase":
                    derivations.append(Derivation(fact, tuple(dict.fromkeys(stated[one] for one in used)), len(used)))
    scripts = [script(formula) for formula in examples]
    told = [Bundle(lines[-1].facts, (), script=lines) for lines in scripts]

    def ask(kind: str, in_split: Literal["validation", "test"]) -> Ask:
        return Ask(kind=kind, split=in_split, templates="{wording}")

    return World(
        name="process",
        seed=seed,
        relations={
            name: Relation(name=name, inverse=name, wording=name, forms={"transform": transform})
            for name in ("rule", "transform")
        },
        rules=(),
        bundles=[Bundle(tuple(stated.values()), ()), *told],
        independent=False,
        telling=Scripted(kind="worked_example"),
        asks=(ask("rephrase", "validation"), ask("new_formula", "test"), ask("composition", "test")),
        classify=lambda fact, hops, stated: kinds.get(fact),
        alternatives=choices.__getitem__,
        derivations=derivations,
        label=labels.get,
        checker="process",
    )


def _singles(functions: Sequence[str]) -> list[Formula]:
    """The first examples: every rule on x alone."""
    numbers = [Formula(str(n)) for n in (2, 5)]
    return [
        *(Formula(head, (X,)) for head in functions),
        *(Formula(head, (X, number)) for head in OPERATORS for number in numbers),
    ]


def _drawn(groups: Groups, name: str, blocks: Sequence[tuple[Class, Class]], count: int) -> Iterator[Group]:
    """Groups from every block by turns, as many as `count` or as there are."""
    left = list(blocks)
    number = 0
    while left and number < count:
        for block in list(left):
            if number == count:
                break
            found = groups.draw(name, number, block)
            if found is None:
                left.remove(block)
                continue
            number += 1
            yield found


def _spread(groups: Sequence[Group], count: int) -> list[Group]:
    """Up to `count` of the groups, evenly spaced."""
    count = min(count, len(groups))
    return [groups[i * len(groups) // count] for i in range(count)]
