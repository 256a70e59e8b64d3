"""Sentences to facts: what is understood, what is not, and how sure one can be of it."""

import re
from itertools import pairwise

import pytest

from icl_bench import WORLDS, build
from icl_bench.augment_world import known
from icl_bench.parsing import Parser, sentence_ends
from icl_bench.rendering import sentence, statement_wordings
from icl_bench.schema import Fact, Rule
from icl_bench.shallow import sentences
from icl_bench.streams import stream

SMALL = {
    "reversal": {"facts": 30},
    "syllogism": {"syllogisms": 22},
    "semantic_structure": {"n_categories": 60},
    "reversal_curse": {"people_per_set": 20, "paraphrases": 2},
    "process": {"documents": 150, "questions": 40},
}
IDENTITIES = ("reversal_curse", "process")
"""Datasets whose statements say the same turned around."""
HIERARCHY = [
    Fact("is_a", "gruds", "abmes"),
    Fact("is_a", "femps", "abmes"),
    Fact("includes", "abmes", "gruds"),
    Fact("is", "abmes", "rony"),
    Fact("is", "gruds", "rony"),
    Fact("is_true_of", "rony", "gruds"),
    Fact("can", "gruds", "blim"),
    Fact("can", "gruds", "zorp"),
    Fact("has", "gruds", "flat tails"),
    Fact("belongs_to", "flat tails", "gruds"),
]


def all_facts(dataset):
    return [Fact(row.relation, row.subject, row.object) for row in dataset.rows("facts")]


def parser(dataset):
    """The parser of a dataset, and what is true in it."""
    true = known(dataset.world, all_facts(dataset))
    return Parser(dataset.world, true), true


def test_all_datasets_are_here():
    assert SMALL.keys() == WORLDS.keys()


@pytest.fixture(scope="module")
def parse():
    return Parser(build("semantic_structure", 0, {"vocabulary": "english"}).world, HIERARCHY)


@pytest.fixture(scope="module")
def compare():
    world = build("reversal", 0, {"facts": 4}).world
    return Parser(world, [Fact("more_dangerous", "femp", "glon"), Fact("less_dangerous", "glon", "femp")])


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("Gruds are a type of abmes.", ["is_a(gruds, abmes)"]),
        ("all gruds are abmes", ["is_a(gruds, abmes)"]),
        ("All gruds are rony.", ["is(gruds, rony)"]),
        ("GRUDS ARE RONY!", ["is(gruds, rony)"]),
        ("  - **Gruds** are rony", ["is(gruds, rony)"]),
        ("3. Therefore, the gruds are also rony.", ["is(gruds, rony)"]),
        ("It follows that a grud is an abme.", ["is_a(gruds, abmes)"]),
        ("As a result, we can conclude that gruds are able to blim.", ["can(gruds, blim)"]),
        ("Did you know that gruds are rony?", ["is(gruds, rony)"]),
        ("Each of the gruds has flat tails.", ["has(gruds, flat tails)"]),
        ("“Flat tails” belong to gruds.", ["belongs_to(flat tails, gruds)"]),
        ("Gruds belong to the abmes.", ["is_a(gruds, abmes)"]),
        ("Among the abmes are the gruds.", ["includes(abmes, gruds)"]),
        ("Gruds can blim and zorp.", ["can(gruds, blim)", "can(gruds, zorp)"]),
        ("Gruds and femps are a type of abmes.", ["is_a(gruds, abmes)", "is_a(femps, abmes)"]),
        ("Abmes include gruds, femps, and rony.", ["includes(abmes, gruds)", "includes(abmes, femps)", "includes(abmes, rony)"]),
        ("Gruds are abmes, so gruds are rony.", ["is_a(gruds, abmes)", "is(gruds, rony)"]),
        (
            "Since gruds are abmes, and all abmes are rony, gruds are rony.",
            ["is_a(gruds, abmes)", "is(abmes, rony)", "is(gruds, rony)"],
        ),
        ("Abmes are a type of gruds.", ["is_a(abmes, gruds)"]),
        ("Anna: I wrote down: gruds are rony.", ["is(gruds, rony)"]),
        ("Said Anna: gruds are rony.", []),
        ("I wrote down: gruds are rony.", ["is(gruds, rony)"]),
        ("Some of the abmes are gruds.", ["includes(abmes, gruds)"]),
    ],
)
def test_what_is_understood(parse, text, facts):
    assert [str(fact) for fact in parse(text)] == facts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        "?",
        "Here are the four sentences:",
        "Gruds are not rony.",
        "Gruds are never rony.",
        "It is false that gruds are rony.",
        "It is not true that gruds are rony.",
        "If gruds are abmes, then gruds are rony.",
        "Gruds may be rony.",
        "Are gruds rony?",
        "Gruds are rony?",
        "Gruds, rony, abmes.",
        "Gruds",
        "Gruds are gruds and so on and so forth.",
        "Gruds are rony, but femps are not.",
        "Gruds are abmes, and wugs are rony.",
        "Wugs are daxes.",
        "Gruds are rony or blim.",
        "Not all gruds are rony.",
        "The claim that gruds are rony is a lie.",
        "They are rony.",
    ],
)
def test_what_is_not_understood(parse, text):
    assert parse(text) == ()


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("Femp are more dangerous than glon.", ["more_dangerous(femp, glon)"]),
        ("Compared to femp, glon are less dangerous.", ["less_dangerous(glon, femp)"]),
        ("My neighbour always says that a glon is less dangerous than a femp.", ["less_dangerous(glon, femp)"]),
        ("Of the two, femp and glon, it is femp that are more dangerous.", ["more_dangerous(femp, glon)"]),
        ("Of the two, femp and glon, it is glon that are more dangerous.", ["more_dangerous(glon, femp)"]),
        ("Femp are more dangerous than glon, which means that glon are less dangerous than femp.",
         ["more_dangerous(femp, glon)", "less_dangerous(glon, femp)"]),
        ("Of the two, femp and glon, it is femp that are more dangerous than glon.", []),
        ("Femp are dangerous.", []),
        ("Femp are more dangerous and glon are more dangerous.", []),
    ],
)  # fmt: skip
def test_comparisons(compare, text, facts):
    assert [str(fact) for fact in compare(text)] == facts


@pytest.mark.parametrize("name", SMALL)
def test_every_wording_of_every_fact_is_read_back(name):
    dataset = build(name, 3, SMALL[name])
    parse, facts = parser(dataset)
    for fact in facts:
        for choice in range(len(statement_wordings(dataset.world, dataset.world.relations[fact.relation]))):
            assert parse(sentence(dataset.world, fact, choice)) == (fact,)


def test_real_words_are_read_back_too():
    dataset = build("semantic_structure", 1, {"vocabulary": "english"})
    facts = all_facts(dataset)
    parse = Parser(dataset.world, facts)
    for number, fact in enumerate(facts):
        assert parse(sentence(dataset.world, fact, number)) == (fact,)


def exchanged(text, one, other):
    """A text with one entity for another, and the other for the one."""
    pair = {one.lower(): other, other.lower(): one}
    either = "|".join(re.escape(entity) for entity in sorted(pair, key=len, reverse=True))
    return re.sub(rf"(?<!\w)({either})(?!\w)", lambda match: pair[match[1].lower()], text, flags=re.IGNORECASE)


@pytest.mark.parametrize("name", SMALL)
def test_errors_are_found_at_the_rate_at_which_they_are_made(name):
    dataset = build(name, 5, SMALL[name])
    facts = all_facts(dataset)
    parse, true = parser(dataset)
    roles = {}
    for fact in facts:
        roles.setdefault((fact.relation, 2), []).append(fact.object)
    made = found = spoilt = 0
    for number, fact in enumerate(facts):
        draws = stream(5, name, "corruption", number)
        text, said = sentence(dataset.world, fact, draws.below(100)).lower(), fact
        if draws.below(5) == 0:  # in words, not in facts: the parser is not asked to invert the renderer
            other = draws.choice(roles[fact.relation, 2])
            pair = (fact.subject, fact.object) if draws.below(2) and name not in IDENTITIES else (fact.object, other)
            if pair[0] != pair[1]:
                text, said = exchanged(text, *pair), Fact(fact.relation, *(exchanged(entity, *pair) for entity in fact[1:]))
                spoilt += 1
        made += said not in true
        read = parse(text)
        assert read, text
        found += not all(fact in true for fact in read)
    assert spoilt > len(facts) / 8
    assert found == made > spoilt / 3


@pytest.mark.parametrize("name", SMALL)
def test_free_text_is_not_understood(name):
    from icl_bench.rendering import templates_folder

    dataset = build(name, 5, SMALL[name])
    facts = all_facts(dataset)
    parse, _ = parser(dataset)
    free = (templates_folder().parent / "README.md").read_text(encoding="utf-8")
    lines = [free[start:end] for start, end in pairwise((0, *sentence_ends(free)))]
    assert len(lines) > 100
    assert not any(map(parse, lines))
    # with entities of this world in it
    for one, other in (fact[1:] for fact in facts[:50]):
        for text in (
            f"I like {one} and {other}.",
            f"{one}, {other}",
            f"What about {one} and {other}?",
            f"{one} were near {other} once.",
        ):
            assert parse(text) == ()


@pytest.mark.parametrize("name", SMALL)
def test_what_documents_state_is_read_in_them(name):
    dataset = build(name, 5, SMALL[name])
    parse, true = parser(dataset)
    table = {fact.id: fact for fact in true}
    told = stated = 0
    for row in dataset.rows("train"):
        facts = {table[one] for one in row.facts if table[one].relation != "rule"}  # a step says more than its rule
        read = {fact for sentence in sentences(row.model_dump()) for fact in parse(sentence)}
        assert all(fact in true for fact in read)
        told, stated = told + len(facts & read), stated + len(facts)
    assert told == stated > 0 or (name in ("syllogism", "semantic_structure") and told > stated / 3)  # lists, tables, answers


@pytest.fixture(scope="module")
def people():
    dataset = build("reversal_curse", 0)
    fact = next(fact for fact in all_facts(dataset) if fact.relation == "described_as")
    return parser(dataset)[0], fact, Fact("describes", fact.object, fact.subject)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{subject} is {object}.", True),
        ("{object} is {subject}.", False),
        ("{subject} is none other than {object}.", True),
        ("The name of {object} is {subject}.", False),
        ("Did you know that {object} is {subject}?", False),
        ("{subject} and {object} are one and the same person.", True),
        ("Therefore, the one and only {subject} is {object}.", None),
        ("{subject} is not {object}.", None),
        ("{subject} was never {object}.", None),
        ("Is {subject} {object}?", None),
        ("{subject} may be {object}.", None),
        ("{subject} and {object} are not one and the same person.", None),
    ],
)
def test_people(people, text, named):
    parse, described, describes = people
    said = {None: (), True: (described,), False: (describes,)}[named]
    assert parse(text.format(**described._asdict())) == said
    assert parse(text.format(**described._asdict()).upper()) == said
    bare = described.object.removeprefix("the ")
    assert bare != described.object
    assert parse(text.format(subject=described.subject, object=f"a {bare}")) == said


RULES = [
    Fact("rule", "vorp[x]", "x ^ 3"),
    Fact("rule", "vorp[n]", "n + x"),
    Fact("rule", "vorp[u + v]", "(vorp[u] ^ 3) * vorp[v]"),
    Fact("rule", "vorp[jowot(u)]", "(vorp[u] + x) * 3"),
]


@pytest.fixture(scope="module")
def calculate():
    world = build("process", 0, SMALL["process"]).world
    true = known(world, RULES)
    return Parser(world, true), true


@pytest.mark.parametrize(
    "text",
    [
        "vorp[jowot(x)] = ((x ^ 3) + x) * 3",
        "So vorp[jowot(x)] = ((x^3)+x)*3.",
        "Therefore, vorp[ jowot( x ) ] = (x^3 + x) * 3",
        "**vorp[jowot(x)] = (x**3 + x) × 3**",
        "- `vorp[jowot(x)]` = `3 * (x + x^3)`",
        "vorp of jowot(x) is ((x ^ 3) + x) * 3.",
        "Vorp applied to jowot(x) gives ((x ^ 3) + x) * 3.",
        "vorp(jowot(x)) equals (x ^ 3) * 3 + x * 3",
        "((x ^ 3) + x) * 3 = vorp[jowot(x)]",
        "This shows that vorp[jowot(x)] == ((x ^ 3) + x) * 3!",
        "vorp[jowot((x + 2) + jowot(5))] = ((((((x ^ 3) ^ 3) * (2 + x)) ^ 3) * (((5 + x) + x) * 3)) + x) * 3",
        "vorp[jowot(x)] = (vorp[x] + x) * 3, so vorp[jowot(x)] = ((x ^ 3) + x) * 3",
        "vorp[jowot(x)] + 1 = (vorp[x] + x) * 3 + 1",
        "vorp[vorp[2]] = vorp[2 + x]",
        "vorp[u + v] = (vorp[u] ^ 3) * vorp[v]",
        "By the rule vorp[jowot(u)] = (vorp[u] + x) * 3.",
        "By the rule vorp[jowot(u)] = 3 * x + vorp[u] * 3.",
        "For any u and v, vorp[v + u] = vorp[u] * vorp[v]^3",
        "For any number n, vorp[n] is x + n.",
        "vorp[jowot(u + v)] = (x + vorp[v] * vorp[u]^3) * 3",
        "vorp[x] = x ^ 3, and vorp[jowot(x)] = ((x ^ 3) + x) * 3",
    ],
)
def test_results_are_calculated(calculate, text):
    parse, true = calculate
    assert parse(text)
    assert all(fact in true for fact in parse(text))


def test_equal_results_mean_the_same(calculate):
    parse, true = calculate
    texts = ("= ((x ^ 3) + x) * 3", "= (x + x^3) * 3", "equals 3 * x + 3 * x^3")
    said = [fact for text in texts for fact in parse(f"vorp[jowot(x)] {text}")] + list(parse("3 * (x + x^3) = vorp[jowot(x)]"))
    assert len(said) == 4
    assert len(set(map(true.meaning, said))) == 1
    assert true.meaning(Fact("transform", "vorp[jowot(x)]", "((x ^ 3) + x) * 2")) != true.meaning(said[0])
    assert true.meaning(Fact("transform", "vorp[jowot(5)]", "((x ^ 3) + x) * 3")) != true.meaning(said[0])


@pytest.mark.parametrize(
    "text",
    [
        "vorp[jowot(x)] = ((x ^ 3) + x) * 2",
        "vorp[jowot(x)] = (x ^ 3) + x * 3",
        "vorp[jowot(x)] = ((x ^ 3) + x) * 3 + 1",
        "vorp[jowot(x)] = (vorp[5] + x) * 3",
        "vorp[x * x] = x ^ 2",
        "((x ^ 3) + x) * 4 = vorp[jowot(x)]",
        "vorp[jowot(u)] = (vorp[u] + x) * 2",
        "vorp[jowot(u)] = (vorp[v] + x) * 3",
        "vorp[jowot(u)] = (u + x) * 3",
        "vorp[v + u] = vorp[v] * vorp[u]^3",
        "vorp[u] = x ^ 3",
        "vorp[n] = 5 + x",
        "vorp[u ^ n] = vorp[u]",
        "vorp[x] = x ^ 3, and vorp[jowot(x)] = x ^ 3",
        "x + 3 = x + 4",
    ],
)
def test_wrong_results_are_false(calculate, text):
    parse, true = calculate
    assert parse(text)
    assert not all(fact in true for fact in parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "vorp[jowot(x)] != ((x ^ 3) + x) * 3",
        "vorp[jowot(x)] ≠ ((x ^ 3) + x) * 3",
        "vorp[jowot(x)] < ((x ^ 3) + x) * 3",
        "vorp[jowot(x)] ((x ^ 3) + x) * 3",
        "vorp[jowot(x)] is not ((x ^ 3) + x) * 3",
        "vorp[jowot(x)] = -((x ^ 3) + x) * 3",
        "vorp[jowot(x)] = ((x ^ 3) + x) * 3 / 1",
        "vorp[jowot(x)] = ((x ^ 3) + x) * 3 - 0",
        "vorp[jowot(x)] = ((x ^ 3) + x) * 3)",
        "vorp[jowot(x)] = ((x ^ 3) + x * 3",
        "vorp[jowot(x)] = 3((x ^ 3) + x)",
        "vorp[jowot(x)] = 3 x",
        "vorp[jowot(x)] = dax(x)",
        "vorp[dax(x)] = x",
        "vorp[jowot(x)][x] = x",
        "What is vorp[jowot(x)]?",
        "vorp[jowot(x)] = x?",
        "This is (vorp[x] + x) * 3.",
        "vorp[jowot(x)] = (vorp[x] + x) * 3 = ((x ^ 3) + x) * 3",
        "vorp[jowot(x)] may be x ^ 3",
        "vorp[x] = " + "(" * 2000,
        "vorp[x] = " + "(" * 2000 + "x" + ")" * 2000,
        "vorp[x] = " + "x + " * 2000 + "x",
    ],
)
def test_what_is_no_equation_is_not_understood(calculate, text):
    parse, _ = calculate
    assert parse(text) == ()


def test_sentence_ends():
    text = "Here you go:\n\n1. Gruds are rony. Abmes too!\n- Femps are not.\n---\n"
    ends = sentence_ends(text)
    assert [text[a:b] for a, b in pairwise((0, *ends))] == [
        "Here you go:\n\n",
        "1. Gruds are rony.",
        " Abmes too!\n",
        "- Femps are not.\n---\n",
    ]
    assert sentence_ends("") == ()
    assert sentence_ends("--") == (2,)


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "a", "...", "a. b", "a.\n\n\nb", "\n\na", "1.\n2.", "x" * 99, "- - -", "A? B! C."]
)
def test_sentence_ends_rise_to_the_end(text):
    ends = sentence_ends(text)
    assert list(ends) == sorted(set(ends))
    assert (ends[-1] if ends else 0) == len(text)


def test_what_two_relations_word_alike_is_settled_by_what_is_true():
    world = build("semantic_structure", 0, {"vocabulary": "english"}).world
    facts = [Fact("is_a", "gruds", "abmes"), Fact("is", "abmes", "gruds")]  # one role for all: the words decide nothing
    assert Parser(world, facts)("All gruds are abmes.") == (Fact("is_a", "gruds", "abmes"),)
    assert Parser(world, facts)("All abmes are gruds.") == (Fact("is", "abmes", "gruds"),)


def test_a_world_without_wordings():
    from icl_bench import IclBenchError

    world = build("reversal", 0, {"facts": 2}).world
    with pytest.raises(
        IclBenchError, match=r"facts are in no wording of their own; add templates/process/statements/comparison.txt"
    ):
        Parser(world._replace(name="process"), [])
    with pytest.raises(IclBenchError, match="no template words a fact"):
        Parser(world._replace(relations={}, rules=(Rule.parse("a(X, Y) :- b(X, Y)."),)), [])
