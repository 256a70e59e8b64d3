"""The process world: its rules and results against sympy, its split, its choices, its knobs, and its part of the audit."""

import ast
import json
import re
from collections import Counter
from functools import cache

import pyarrow.parquet as pq
import pytest
from sympy import Poly, Symbol

from icl_bench.audit import audit
from icl_bench.audit_formulas import read
from icl_bench.audit_process import ProcessLeaks, ProcessTruth
from icl_bench.build import build
from icl_bench.errors import IclBenchError
from icl_bench.generate import generate
from icl_bench.schema import Fact
from icl_bench.worlds.formulas import Formula, X, pattern, steps
from icl_bench.worlds.procedures import draw_rules, most_functions, split

X_OF = Poly(Symbol("x"))
OPERATORS = {ast.Add: "+", ast.Mult: "*", ast.Pow: "^"}


@cache
def made(seed, **fields):
    dataset = build("process", seed, fields)
    return dataset, {name: list(dataset.rows(name)) for name in ("train", "validation", "test", "facts")}


@cache
def default(seed):
    return made(seed)


# ---- an evaluator of its own: Python reads the formulas, sympy calculates


def parsed(text):
    return ast.parse(text.replace("^", "**"), mode="eval").body


class Evaluator:
    """The polynomial that a text stands for, by rules that are texts as well."""

    def __init__(self, rules):
        self.rules = {}
        for fact in rules:
            subject = parsed(fact.subject).slice
            self.rules[self.kind(subject)] = (subject, parsed(fact.object))

    @staticmethod
    def kind(node):
        match node:
            case ast.Call():
                return node.func.id
            case ast.BinOp():
                return OPERATORS[type(node.op)]
            case ast.Constant():
                return "n"
        return node.id

    @staticmethod
    def operands(node):
        match node:
            case ast.Call():
                return node.args
            case ast.BinOp():
                return [node.left, node.right]
        return [node]

    def __call__(self, node, bound=None):
        node, bound = (parsed(node) if isinstance(node, str) else node), bound or {}
        match node:
            case ast.Subscript():
                inner = node.slice
                if isinstance(inner, ast.Name) and inner.id in bound:
                    inner = bound[inner.id]
                subject, result = self.rules[self.kind(inner)]
                names = [one.id for one in self.operands(subject)]
                return self(result, dict(zip(names, self.operands(inner), strict=True)))
            case ast.BinOp():
                left, right = self(node.left, bound), self(node.right, bound)
                if isinstance(node.op, ast.Pow):
                    return left ** int(right.as_expr())
                return left + right if isinstance(node.op, ast.Add) else left * right
            case ast.Constant():
                return Poly(node.value, Symbol("x"))
            case ast.Name() if node.id in bound:
                return self(bound[node.id])
            case ast.Name(id="x"):
                return X_OF
        raise AssertionError(ast.dump(node))


def evaluator(dataset):
    return Evaluator(dataset.world.bundles[0].facts)


@pytest.mark.parametrize("seed", range(4))
def test_gold_and_distractors_against_sympy(seed):
    dataset, rows = default(seed)
    evaluate = evaluator(dataset)
    for row in rows["validation"] + rows["test"]:
        results = [evaluate(Fact.parse(claim).object) for claim in row.claims]
        asked = {Fact.parse(claim).subject for claim in row.claims}
        assert len(asked) == 1
        right = evaluate(asked.pop())
        assert [i for i, result in enumerate(results) if result == right] == list(row.answer)
        assert len(set(results)) == len(results)


@pytest.mark.parametrize("seed", range(4))
def test_every_step_of_every_example_against_sympy(seed):
    dataset, rows = default(seed)
    evaluate = evaluator(dataset)
    name = dataset.world.relations["rule"].forms["transform"]
    for row in rows["train"][::5]:
        starts = [0, *row.sentence_ends]
        sentences = [row.text[a:b].strip() for a, b in zip(starts, row.sentence_ends, strict=False)]
        assert "".join(row.text[a:b] for a, b in zip(starts, row.sentence_ends, strict=False)) == row.text
        subject, result = re.search(rf"({name}\[.*\]) = (.*)\.$", sentences[-1]).groups()
        right = evaluate(subject)
        assert evaluate(result) == right
        for sentence in sentences[1:-1]:
            after = next(sentence[i:-1] for i in range(len(sentence)) if read(sentence[i:-1]))
            assert evaluate(after) == right, sentence


def test_the_evaluator_by_hand():
    evaluate = Evaluator(
        [Fact("rule", "d[x]", "x ^ 2"), Fact("rule", "d[n]", "n * x"), Fact("rule", "d[u + v]", "(d[v] + 3) * d[u]")]
    )
    assert evaluate("d[x + 5]").as_expr() == ((5 * Symbol("x") + 3) * Symbol("x") ** 2).expand()


# ---- formulas and rules


RULES = {
    "x": Formula("^", (X, Formula("3"))),
    "n": Formula("+", (Formula("n"), X)),
    "jowot": Formula("*", (Formula("+", (Formula("vorp[]", (Formula("u"),)), X)), Formula("3"))),
    "^": Formula("+", (Formula("*", (Formula("vorp[]", (Formula("u"),)), X)), Formula("n"))),
}


def test_steps_by_hand():
    formula = Formula("jowot", (Formula("^", (X, Formula("4"))),))
    assert str(formula) == "jowot(x ^ 4)"
    assert [(kind, str(left)) for kind, left in steps(RULES, "vorp[]", formula)] == [
        ("jowot", "(vorp[x ^ 4] + x) * 3"),
        ("^", "(((vorp[x] * x) + 4) + x) * 3"),
        ("x", "((((x ^ 3) * x) + 4) + x) * 3"),
    ]
    assert list(formula.nestings()) == [("jowot", "^")]
    assert [str(pattern(kind)) for kind in ("x", "n", "+", "*", "^", "jowot")] == [
        "x",
        "n",
        "u + v",
        "u * v",
        "u ^ n",
        "jowot(u)",
    ]


@pytest.mark.parametrize("seed", range(50))
def test_rules_are_different_and_keep_no_operand(seed):
    functions = [f"f{i}" for i in range(most_functions())]
    rules = draw_rules(seed, "vorp", functions)
    assert len({str(rules[name]) for name in functions}) == len(functions) == 10
    assert rules["+"] != rules["*"]
    lengths = {len(str(rules[name])) for name in functions}
    assert len(lengths) == len({len(str(rules["+"])), len(str(rules["*"]))}) == 1
    for kind, rule in rules.items():
        bare = re.sub(r"vorp\[[uv]\]", "", str(rule))
        assert not set(bare) & set("uv"), (kind, rule)
        assert str(rule).count("vorp[u]") == (kind not in "xn")
        assert str(rule).count("vorp[v]") == (kind in "+*")


@pytest.mark.parametrize("count", [6, 8, 10])
def test_the_split(count):
    functions = [f"f{i}" for i in range(count)]
    parts = split(functions)
    heads = [*"+*^", *functions]
    trained = {(o, i) for outer, inner in parts.trained_blocks for o in outer for i in inner}
    assert trained | parts.held_out == {(o, i) for o in heads for i in heads}
    assert not trained & parts.held_out
    assert len(parts.held_out) == 2 * count + 6
    for name in functions:
        assert sum(outer == name for outer, _ in parts.held_out) >= 2
        assert sum(inner == name for _, inner in parts.held_out) == 2


# ---- the split, as documents and questions show it


def pairs_of(text, name):
    """(outer, inner) of all formulas under a transform and all applied functions in a text, read by Python."""
    found = set()
    for match in re.finditer(r"[a-z]{2,}[(\[]", text):
        depth = place = match.end() - 1
        depth = 0
        for place in range(match.end() - 1, len(text)):
            depth += (text[place] in "([") - (text[place] in ")]")
            if not depth:
                break
        for node in ast.walk(parsed(text[match.start() : place + 1])):
            for child in ast.iter_child_nodes(node):
                if isinstance(node, ast.Call | ast.BinOp) and isinstance(child, ast.Call | ast.BinOp):
                    found.add((Evaluator.kind(node), Evaluator.kind(child)))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_held_out_pairs_are_in_no_document_and_all_else_is(seed):
    dataset, rows = default(seed)
    name = dataset.world.relations["rule"].forms["transform"]
    functions = sorted(
        {fact.subject.split("[")[1].split("(")[0] for fact in dataset.world.bundles[0].facts if "(" in fact.subject}
    )
    assert len(functions) == 6
    told = set().union(*(pairs_of(row.text, name) for row in rows["train"]))
    inputs = set().union(*(pairs_of(row.text[row.sentence_ends[-2] :].split(" = ")[0], name) for row in rows["train"]))
    heads = [*"+*^", *functions]
    missing = {(o, i) for o in heads for i in heads} - inputs
    assert len(missing) == 18
    assert not missing & told
    asked = Counter()
    for row in rows["test"] + rows["validation"]:
        there = pairs_of(row.question, name) & missing
        assert len(there) == (row.kind == "composition")
        asked.update(there)
        outer, inner = row.relation.rstrip(")").split("(")
        words = {"sum": "+", "product": "*", "power": "^"}
        pair = (words.get(outer, outer), words.get(inner, inner))
        assert pair in pairs_of(row.question, name)
        assert there <= {pair}
    assert set(asked) == missing
    used = {fact for row in rows["train"] for fact in row.facts}
    assert {fact.id for fact in dataset.world.bundles[0].facts} <= used


def test_no_asked_formula_is_part_of_a_document():
    _, rows = default(2)
    text = "\n".join(row.text for row in rows["train"])
    for row in rows["test"]:
        assert re.search(r"\[(.*)\] =$", row.question)[1] not in text


@pytest.mark.parametrize("seed", range(6))
def test_four_questions_share_their_choices_and_each_is_right_once(seed):
    _, rows = default(seed)
    for kind, name in (("rephrase", "validation"), ("new_formula", "test"), ("composition", "test")):
        groups = {}
        for row in (row for row in rows[name] if row.kind == kind):
            groups.setdefault(frozenset(row.choices), []).append(row)
        for choices, members in groups.items():
            right = Counter(row.choices[row.answer[0]] for row in members)
            assert set(right) == choices
            assert len(set(right.values())) == 1
            if not any(one in row.relation for row in members for one in ("power", "sum")):
                assert len(set(map(len, choices))) == 1


def test_sizes_and_hops():
    dataset, rows = default(0)
    assert {name: len(found) for name, found in rows.items()} == {"train": 800, "validation": 200, "test": 400, "facts": 1211}
    assert Counter(row.kind for row in rows["test"]) == {"new_formula": 200, "composition": 200}
    assert dataset.covered == 200
    for row in rows["test"]:
        formula = re.search(r"\[(.*)\] =$", row.question)[1]
        assert row.hops == len(re.findall(r"\w+|[+*]|\^ \d", formula))  # a power and its number are one
        assert len(row.facts) == len(set(row.facts)) <= row.hops
    assert {row.hops for row in rows["validation"]} == {1}


def test_questions_have_wordings_of_their_own():
    _, rows = default(0)
    text = "\n".join(row.text for row in rows["train"])
    assert not [row for row in rows["validation"] + rows["test"] if row.question.split("[")[0].rsplit(" ", 1)[0] in text]


# ---- knobs


@pytest.mark.parametrize(
    "fields",
    [
        {"functions": 8, "documents": 300, "questions": 40},
        {"functions": 10, "documents": 401, "questions": 43, "most_operators": 3},
        {"most_operators": 6, "documents": 150, "questions": 8},
        {"most_operators": 3, "documents": 133, "questions": 100_000},
    ],
)
def test_other_sizes(fields, tmp_path):
    _, rows = made(3, **fields)
    assert len(rows["train"]) == fields["documents"]
    count = Counter(row.kind for row in rows["test"] + rows["validation"])
    if fields["questions"] < 1000:
        assert count["composition"] == count["new_formula"] == fields["questions"] // 4 * 4
    assert not any(number % 4 for number in count.values())
    generate(["process"], 3, tmp_path / "other", {"process": fields})
    assert [check for check in audit(tmp_path / "other") if not check.passed] == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"functions": 7}, "process.functions = 7: functions are held out by pairs; use 6 or 8"),
        ({"functions": 4}, "process.functions = 4: Input should be greater than or equal to 6"),
        ({"functions": 12}, "process.functions = 12: Input should be less than or equal to 10"),
        ({"documents": 100}, "process.documents = 100: 6 functions need 132 to train every rule and pair; use more"),
        ({"documents": 0}, "process.documents = 0"),
        ({"documents": 5000, "most_operators": 2}, "process.documents = 5000: there are examples for "),
        ({"most_operators": 1}, "process.most_operators = 1"),
        ({"questions": 3}, "process.questions = 3"),
        ({"rules": 3}, "process has no field 'rules'"),
    ],
)
def test_fields_that_do_not_fit(fields, message):
    with pytest.raises(IclBenchError) as caught:
        build("process", 0, fields)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


# ---- the audit


@pytest.mark.parametrize(
    "text", ["", "x +", "x + x + x", "jowot x", "jowot(x", "jowot(x]", "(x)", "x  + 3", "x+3", "3 x", "jowot(x) .", ")x("]
)
def test_what_is_no_formula(text):
    assert read(text) is None


def corrupted(rows, **changes):
    """The audit's faults after changes: where -> (row number, column, value)."""
    tables = {name: [row.model_dump() for row in found] for name, found in rows.items()}
    for name, (number, column, value) in changes.items():
        row = tables[name][number]
        row[column] = value(row[column]) if callable(value) else value
    truth = ProcessTruth(tables["facts"], [])
    leaks = ProcessLeaks(truth)
    faults = [*truth.closure_faults(), *truth.proof_faults()]
    for name in ("validation", "test"):
        for row in tables[name]:
            faults += leaks.ask(row, name)
    for row in tables["train"]:
        for check in (leaks.stated_faults, leaks.verbatim_faults, leaks.pair_faults, leaks.holdout_faults):
            faults += check(row)
    return faults


def last(rows, name, kind):
    return max(i for i, row in enumerate(rows[name]) if row.kind == kind)


def test_the_audit_finds_what_is_wrong():
    _, rows = made(3, documents=133, questions=8)
    assert corrupted(rows) == []
    asked = rows["test"][last(rows, "test", "composition")]
    formula = re.search(r"\[(.*)\] =$", asked.question)[1]
    trained = rows["test"][0].relation
    in_words = f"Take {formula}, and find nothing. "
    cases = {
        "does not follow": {"facts": (20, "object", "x + 3")},
        "is a rule, and not stated": {"facts": (0, "status", "derived")},
        "there are two rules for": {"facts": (1, "subject", lambda _: rows["facts"][0].subject)},
        "does not prove it": {"facts": (len(rows["facts"]) - 1, "proof", lambda proof: proof[1:])},
        "says": {"train": (9, "text", lambda text: text + f" Quite so, {asked.text}.")},
        "names": {"train": (9, "text", in_words.__add__)},
        "has the held-out pair": {"train": (9, "text", in_words.__add__)},
        "but does not say": {"train": (9, "text", lambda text: text.replace("*", "+"))},
        "is no formula": {"train": (9, "text", lambda text: text + f" {formula.split('(')[0]}(x + is bad.")},
        "is not a pair in": {"test": (last(rows, "test", "composition"), "relation", "sum(sum)")},
        "a question that is not about held-out pairs has it": {"test": (0, "kind", "composition")},
    }
    assert "(" in trained
    for message, changes in cases.items():
        found = corrupted(rows, **changes)
        assert any(message in fault for fault in found), (message, found[:3])


def test_the_audit_of_a_folder(tmp_path):
    generate(["process"], 5, tmp_path / "world", {"process": {"documents": 150, "questions": 20}})
    manifest = json.loads((tmp_path / "world" / "manifest.json").read_text())
    assert manifest["datasets"]["process"]["checker"] == "process"
    assert [check for check in audit(tmp_path / "world") if not check.passed] == []
    path = tmp_path / "world" / "data" / "process" / "test.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[0]["claims"] = [rows[0]["claims"][i - 1] for i in range(4)]
    rows[1]["hops"] += 1
    rows[2]["choices"] = [f"x + ({choice})" for choice in rows[2]["choices"]]
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)
    failed = {check.name for check in audit(tmp_path / "world") if not check.passed}
    assert {"hashes", "entailment", "premises", "wording"} <= failed


# ---- a learner that copies


def trigrams(text):
    return {text[i : i + 3] for i in range(len(text) - 2)}


def alike(one, other):
    return len(one & other) / len(one | other)


def test_what_copying_the_nearest_example_reaches():
    """The number in the card: the choice that is most like the result of the example whose formula is most like the question's."""
    right, count = Counter(), Counter()
    for seed in range(4):
        _, rows = default(seed)
        examples = []
        for row in rows["train"]:
            formula, result = re.search(r"(\[.*\]) = (.*)\.$", row.text[row.sentence_ends[-2] :]).groups()
            examples.append((trigrams(formula), trigrams(result)))
        for row in rows["test"]:
            asked = trigrams(row.question[row.question.index("[") : -2])
            _, result = max(examples, key=lambda example: alike(asked, example[0]))
            scores = [alike(trigrams(choice), result) for choice in row.choices]
            best = [i for i, score in enumerate(scores) if score == max(scores)]
            right[row.kind] += len({*best} & {*row.answer}) / len(best)
            count[row.kind] += 1
    assert {kind: round(right[kind] / count[kind], 1) for kind in count} == {"new_formula": 0.6, "composition": 0.6}
