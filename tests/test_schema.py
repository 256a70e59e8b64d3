"""Records: ids, rules and the errors for a user's fields."""

from hashlib import sha256

import pytest

from icl_bench import WORLDS
from icl_bench.errors import IclBenchError
from icl_bench.schema import Document, Fact, FactRow, Question, Rule


def test_a_fact_is_its_text():
    fact = Fact("is_a", "gruds", "abmes")
    assert str(fact) == "is_a(gruds, abmes)"
    assert fact.id == sha256(b"is_a(gruds, abmes)").hexdigest()[:16]


@pytest.mark.parametrize(
    "text",
    ["less(Y, X) :- more(X, Y).", "is_a(X, Z) :- is_a(X, Y), is_a(Y, Z).", "some(X, Z) :- some(X, Y), all(Y, Z)."],
)
def test_rules_read_and_write(text):
    assert str(Rule.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "is_a(X, Y)",
        "is_a(X, Y).",
        "is_a(X, Z) :- is_a(X, Y).",
        "is_a(X, Z) :- is_a(X, Y), is_a(W, Z).",
        "a(X, Y) :- b(X, Y), c(X, Y), d(X, Y).",
        "is_a(x, y) :- is_a(y, x).",
        "is_a(X, Y) :- not is_a(Y, X).",
    ],
)
def test_what_is_no_rule(text):
    with pytest.raises(IclBenchError, match="not a"):
        Rule.parse(text)


@pytest.mark.parametrize(
    ("dataset", "fields", "message"),
    [
        ("reversal", {"fact": 3}, "reversal has no field 'fact'; its fields are facts, features"),
        ("reversal", {"facts": 0}, "reversal.facts = 0: Input should be greater than 0"),
        ("reversal", {"facts": -5}, "reversal.facts = -5: Input should be greater than 0"),
        ("reversal", {"facts": "many"}, "reversal.facts = 'many': Input should be a valid integer"),
        (
            "reversal",
            {"reverse_fraction": 1.5},
            "reversal.reverse_fraction = 1.5: Input should be less than or equal to 1",
        ),
        ("reversal", {"features": 29}, "reversal.features = 29: Input should be less than or equal to 28"),
        ("syllogism", {"syllogisms": 0}, "syllogism.syllogisms = 0"),
        ("semantic_structure", {"choices": 1}, "semantic_structure.choices = 1"),
        ("semantic_structure", {"vocabulary": "french"}, "semantic_structure.vocabulary = 'french'"),
        (
            "semantic_structure",
            {"min_sentences": 9, "max_sentences": 5},
            "semantic_structure: min_sentences = 9 is more than",
        ),
    ],
)
def test_fields_that_do_not_fit(dataset, fields, message):
    with pytest.raises(IclBenchError) as caught:
        WORLDS[dataset].Config.of(dataset, fields)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_every_column_is_explained():
    for model in (Document, Question, FactRow):
        for name, field in model.model_fields.items():
            assert field.description or name in Document.model_fields, name


@pytest.mark.parametrize(
    ("fact", "text"),
    [
        (Fact("is_a", "gruds", "abmes"), "is_a(gruds, abmes)"),
        (Fact("is", "f(x)", "x + 1"), 'is("f(x)", x + 1)'),
        (Fact("is", "A, B", 'the "C" of \\ D'), 'is("A, B", "the \\"C\\" of \\\\ D")'),
        (Fact("is", 'a", "b', "(é"), 'is("a\\", \\"b", "(é")'),
        (Fact("is", "back\\slash", "'"), "is(back\\slash, ')"),
    ],
)
def test_facts_read_and_write(fact, text):
    assert str(fact) == text
    assert Fact.parse(text) == fact


@pytest.mark.parametrize(
    "text", ["", "is(a)", "is(a, b, c)", "is(a,b)", 'is("a", b)', 'is("a(", "b\\q(")', "is(a, b) ", "is(, b)", "a, b"]
)
def test_what_is_no_fact(text):
    assert Fact.parse(text) is None
