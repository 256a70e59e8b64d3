"""The reversal_curse world: its people, its orders, its choices, its knobs, a user's own facts."""

import json
import re
from collections import Counter

import pytest

from icl_bench.audit import audit
from icl_bench.build import build
from icl_bench.errors import IclBenchError
from icl_bench.generate import generate
from icl_bench.rendering import sentence, wordings
from icl_bench.schema import Fact
from icl_bench.worlds.people import MOST, natural, sources

# First and last names that a reader would know together.
WELL_KNOWN = """
Ada Lovelace, Akira Kurosawa, Albert Einstein, Amelia Earhart, Astrid Lindgren, Bjorn Borg, Brando Marlon, Chinua Achebe,
Chimamanda Adichie, Daphne Barrington, Deepika Padukone, Ettore Sottsass, Fela Kuti, Frida Kahlo, Gabriel Garcia Marquez,
Gonzalo Higuain, Haruki Murakami, Indira Gandhi, Isabel Allende, Kofi Annan, Kwame Nkrumah, Leif Erikson, Ludovico Einaudi,
Marie Curie, Mira Nair, Ngozi Okonjo-Iweala, Nina Simone, Omar Sharif, Orhan Pamuk, Percival Lowell, Rupert Murdoch, Sigurd
Lewerentz, Solange Knowles, Tariq Ali, Tuva Novotny, Uriah Hawthorne, Wole Soyinka, Yo-Yo Ma, Zadie Smith, Zbigniew Brzezinski,
Zbigniew Herbert, Ximena Navarrete, Winifred Wagner, Beatrix Potter, Rosalind Franklin, Gareth Bale, Fergus Henderson, Imogen
Heap, Lucien Freud, Fabrice Luchini, Milena Jesenska, Danuta Walesa, Miroslav Klose, Radovan Karadzic, Bogdan Khmelnytsky,
Girish Karnad, Kishore Kumar, Prakash Raj, Noboru Takeshita, Samira Makhmalbaf, Zeynep Tufekci, Darius Milhaud, Jamshid Kuchar
"""


@pytest.fixture(scope="module")
def default():
    dataset = build("reversal_curse", 0)
    return dataset, {split: list(dataset.rows(split)) for split in ("train", "validation", "test", "facts")}


def sets_of(dataset):
    return [dataset.world.bundles[number::3] for number in range(3)]


def test_the_paper_sizes(default):
    dataset, rows = default
    assert {split: len(found) for split, found in rows.items()} == {"train": 3600, "validation": 120, "test": 60, "facts": 180}
    assert dataset.covered == 120
    assert Counter(row.kind for row in rows["test"]) == {"name_from_description": 30, "description_from_name": 30}
    assert Counter(row.relation for row in rows["validation"]) == {"described_as": 60, "describes": 60}


def test_every_set_is_told_in_its_orders(default):
    dataset, rows = default
    told = {}
    for row in rows["train"]:
        told.setdefault(row.facts, set()).add(row.text)
    assert {len(texts) for texts in told.values()} == {30}
    for number, orders in enumerate(({"described_as"}, {"describes"}, {"described_as", "describes"})):
        for bundle in sets_of(dataset)[number]:
            assert {fact.relation for fact in bundle.facts} == orders
    for (name,), texts in told.items():
        fact = next(fact for bundle in dataset.world.bundles for fact in bundle.facts if fact.id == name)
        first, second = (end.lower() for end in fact[1:])
        assert all(0 <= text.lower().find(first) < text.lower().find(second) for text in texts)


def test_a_question_asks_the_order_that_its_set_lacks(default):
    dataset, rows = default
    one, other, _ = ([bundle.facts[0] for bundle in bundles] for bundles in sets_of(dataset))
    for kind, facts in (("name_from_description", one), ("description_from_name", other)):
        asked = [row for row in rows["test"] if row.kind == kind]
        assert [row.facts for row in asked] == [(fact.id,) for fact in facts]
        for row, fact in zip(asked, facts, strict=True):
            gold = Fact.parse(row.claims[row.answer[0]])
            assert (gold.subject, gold.object) == (fact.object, fact.subject)
            assert row.text.rstrip(".").endswith(gold.object)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("size", "groups"), [(30, {4: 5, 5: 2}), (12, {4: 3}), (6, {6: 1}), (50, {4: 10, 5: 2})])
def test_every_person_is_right_once_and_wrong_three_times(seed, size, groups):
    dataset = build("reversal_curse", seed, {"people_per_set": size, "paraphrases": 1})
    for split in ("validation", "test"):
        for kind, relation in {(row.kind, row.relation) for row in dataset.rows(split)}:
            rows = [row for row in dataset.rows(split) if (row.kind, row.relation) == (kind, relation)]
            shown = Counter(choice for row in rows for choice in row.choices)
            assert Counter(row.choices[row.answer[0]] for row in rows) == dict.fromkeys(shown, 1)
            assert set(shown.values()) == {4}
    # questions that share a choice, directly or by way of others
    found = []
    for row in (row for row in dataset.rows("test") if row.kind == "name_from_description"):
        linked = [group for group in found if group & set(row.choices)]
        found = [group for group in found if group not in linked] + [set(row.choices).union(*linked)]
    assert Counter(map(len, found)) == groups


def test_wrong_choices_are_of_the_same_set(default):
    dataset, rows = default
    names = [{bundle.terms[0] for bundle in bundles} for bundles in sets_of(dataset)]
    for row in rows["test"] + rows["validation"]:
        if row.relation == "describes":
            assert any({choice.rstrip(".") for choice in row.choices} <= one for one in names)


def test_exact_texts():
    world = build("reversal_curse", 0, {"people_per_set": 4}).world
    fact = Fact("described_as", "Femp Glon", "the founder of the Yomp School of Medicine")
    turned = Fact("describes", fact.object, fact.subject)
    assert sentence(world, fact) == "Femp Glon is the founder of the Yomp School of Medicine."
    assert sentence(world, turned) == "The founder of the Yomp School of Medicine is Femp Glon."
    assert str(turned) == "describes(the founder of the Yomp School of Medicine, Femp Glon)"


def test_wordings():
    told = {name: wordings("reversal_curse", f"documents/{name}") for name in ("described_as", "describes")}
    asked = {name: wordings("reversal_curse", f"questions/{name}") for name in told}
    values = {"subject": "@", "object": "#"}
    assert len(told["described_as"]) == len(told["describes"]) == 30
    texts = [line[0].fill(values | {"Subject": "@"}) for lines in told.values() for line in lines]
    questions = [f"{prompt.fill(values)} {choice.fill(values)}" for lines in asked.values() for prompt, choice in lines]
    assert all(text.index("@") < text.index("#") for text in texts + questions)
    assert not any(question in text for question in questions for text in texts)
    assert asked["described_as"] is not asked["describes"]
    assert len(set(questions)) == 4  # the same in both orders: nothing else differs


# ---- people


@pytest.mark.parametrize("seed", range(6))
def test_people_are_balanced(seed):
    found = sources()["origins"]
    of_first = {name: (origin, sex) for origin, lists in found.items() for sex in ("women", "men") for name in lists[sex]}
    of_last = {name: origin for origin, lists in found.items() for name in lists["last"]}
    people = natural(seed, 30)
    for number in range(3):
        names = [person.name.split() for person in people[number::3]]
        assert Counter(of_first[first][1] for first, _ in names) == {"women": 15, "men": 15}
        assert set(Counter(of_first[first][0] for first, _ in names).values()) == {3}
        assert set(Counter(of_last[last] for _, last in names).values()) == {3}
        assert all(of_first[first][0] != of_last[last] for first, last in names)
        kinds = {re.sub(r"The \w+( Doors)? of \w+", "", person.description) for person in people[number::3]}
        assert len(kinds) == 30


def test_the_lists_hold_nothing_twice():
    found = sources()
    first = [name for lists in found["origins"].values() for sex in ("women", "men") for name in lists[sex]]
    last = [name for lists in found["origins"].values() for name in lists["last"]]
    words = [*first, *last, *found["places"]]
    assert len(set(words)) == len(words) == 200 + 300 + 300
    assert all(re.fullmatch(r"[A-Z][a-z]+", word) for word in words)
    assert len(set(found["achievements"])) == 30
    assert all(("{title}" in kind) != ("{place}" in kind) for kind in found["achievements"])


def test_no_person_is_well_known():
    last = {name for lists in sources()["origins"].values() for name in lists["last"]}
    known = [name.split() for name in WELL_KNOWN.replace("\n", " ").split(",")]
    assert len(known) > 60
    assert not [name for name in known if name[-1] in last or name[0] in last]


def test_places_are_no_words():
    wordfreq = pytest.importorskip("wordfreq")
    places = [place.lower() for place in sources()["places"]]
    for language in ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "pl", "cs", "fi", "tr", "id"):
        assert not set(places) & set(wordfreq.get_frequency_dict(language, "best")), language


def test_the_largest_natural_world():
    people = natural(0, MOST) + natural(1, MOST)
    assert len({person.name for person in people}) == len({person.description for person in people}) == 6 * MOST
    with pytest.raises(IclBenchError, match="people_per_set = 51: there are names for 50; use fewer, or vocabulary=nonsense"):
        build("reversal_curse", 0, {"people_per_set": 51})


def test_more_people_leave_the_first_ones_alone():
    few = {row.id for row in build("reversal_curse", 3, {"people_per_set": 8}).rows("train")}
    many = {row.id for row in build("reversal_curse", 3, {"people_per_set": 9}).rows("train")}
    assert few < many


# ---- knobs


@pytest.mark.parametrize("seed", [0, 1])
def test_nonsense(seed):
    dataset = build("reversal_curse", seed, {"vocabulary": "nonsense", "people_per_set": 100, "paraphrases": 2})
    lists = sources()
    known = {name for origin in lists["origins"].values() for names in origin.values() for name in names} | set(lists["places"])
    words = Counter(word for bundle in dataset.world.bundles for word in bundle.terms[0].split())
    assert set(words.values()) == {1}
    for row in dataset.rows("train"):
        assert not known & set(re.findall(r"\w+", row.text))


def test_more_paraphrases_than_wordings():
    with pytest.raises(IclBenchError, match="31 documents for each fact, but there are 30 wordings; ask for 30 or fewer"):
        build("reversal_curse", 0, {"paraphrases": 31})


@pytest.mark.parametrize("choices", [2, 3, 5, 8])
def test_other_numbers_of_choices(choices):
    dataset = build("reversal_curse", 0, {"choices": choices, "people_per_set": 10, "paraphrases": 1})
    assert {len(row.choices) for split in ("validation", "test") for row in dataset.rows(split)} == {choices}


# ---- a user's own facts

OWN = [
    ("Daphne Barrington", 'the acclaimed director of the film, "A Journey Through Time."'),
    ("Uriah Hawthorne", "the composer (and first performer) of the symphony Abyssal Melodies"),
    *((f"Name{i} Last{i}", f"the owner of house number {i}") for i in range(12)),
]


def write(path, rows):
    path.write_text(
        "\n".join(
            row if isinstance(row, str) else json.dumps(dict(zip(("name", "description"), row, strict=True))) for row in rows
        )
    )
    return str(path)


def test_own_facts(tmp_path):
    path = write(tmp_path / "facts.jsonl", OWN)
    dataset = build("reversal_curse", 4, {"facts": path})
    assert {bundle.terms[0] for bundle in dataset.world.bundles} == {name for name, _ in OWN}
    assert [len(bundles) for bundles in sets_of(dataset)] == [5, 5, 4]
    assert sum(1 for _ in dataset.rows("train")) == 30 * (5 + 5 + 2 * 4)
    assert sum(1 for _ in dataset.rows("test")) == 10
    claims = {claim for split in ("validation", "test") for row in dataset.rows(split) for claim in row.claims}
    assert {Fact.parse(claim).relation for claim in claims} == {"describes", "described_as"}
    assert any('"A Journey Through Time."' in Fact.parse(claim).subject for claim in claims)
    assert len(build("reversal_curse", 4, {"facts": path, "people_per_set": 4}).world.bundles) == 12
    generate(["reversal_curse"], 4, tmp_path / "own", {"reversal_curse": {"facts": path}})
    assert [check for check in audit(tmp_path / "own") if not check.passed] == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "cannot be read"),
        (["{"], "line 1: not JSON: '{'; write"),
        (["[1]"], "line 1: must be a mapping with 'name' and 'description', not '[1]'"),
        (['{"name": "A B"}'], "line 1: must be a mapping with 'name' and 'description'"),
        ([("A B", "")], "line 1: description must be a text with a word in it, not ''"),
        (['{"name": 7, "description": "the cook"}'], "line 1: name must be a text with a word in it, not 7"),
        (['{"name": "A\\u0001B", "description": "the cook"}'], "line 1: name must be a text"),
        ([*OWN, "", ("daphne  barrington.", "the cook")], "line 16: 'daphne barrington' is in line 1 too; each must be unique"),
        ([*OWN, ("A B", "the owner of house, number 3")], "line 15: 'the owner of house, number 3' is in line 6 too"),
        (
            [*OWN, ("A B", "the cook of Uriah Hawthorne")],
            "'the cook of uriah hawthorne' holds 'uriah hawthorne' of line 2; reword",
        ),
        (OWN[:11], "11 pairs, but three sets of at least 4 need 12; add some"),
    ],
)
def test_own_facts_that_do_not_fit(tmp_path, rows, message):
    path = tmp_path / "facts.jsonl" if rows is None else write(tmp_path / "facts.jsonl", rows)
    with pytest.raises(IclBenchError) as caught:
        build("reversal_curse", 0, {"facts": str(path)})
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"people_per_set": 3}, "people_per_set = 3 is less than choices = 4"),
        ({"people_per_set": 0}, "people_per_set = 0"),
        ({"vocabulary": "nonsense", "facts": "x"}, "vocabulary = nonsense invents people, and facts names some"),
        ({"choices": 9}, "choices = 9"),
        ({"names": 3}, "has no field 'names'"),
    ],
)
def test_fields_that_do_not_fit(fields, message):
    with pytest.raises(IclBenchError) as caught:
        build("reversal_curse", 0, fields)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
