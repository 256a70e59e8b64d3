"""The semantic_structure world: its ontology, its documents, its questions."""

from collections import Counter, defaultdict
from pathlib import Path

import pytest
import yaml

from icl_bench.build import build
from icl_bench.errors import IclBenchError
from icl_bench.rendering import formats
from icl_bench.worlds.ontology import PROPERTIES, default_ontology, grow, read_ontology

EAT = "{eat: {inverse: eaten_by, verb: eat, participle: eaten}}"
TOY = {
    "relations": {"eat": {"inverse": "eaten_by", "verb": "eat", "participle": "eaten"}},
    "categories": {
        "organisms": {"parent": None, "is": ["alive"]},
        "animals": {"parent": "organisms", "can": ["move"]},
        "plants": {"parent": "organisms", "has": ["roots"]},
        "cats": {"parent": "animals", "can": ["purr"], "eat": ["mice"]},
        "mice": {"parent": "animals", "can": ["squeak"], "has": ["whiskers"], "eat": ["oats"]},
        "dogs": {"parent": "animals", "can": ["bark"]},
        "oats": {"parent": "plants", "is": ["tasty"]},
        "oaks": {"parent": "plants", "has": ["acorns"]},
        "tools": {"parent": None, "is": ["useful"]},
        "hammers": {"parent": "tools", "can": ["hit"]},
    },
}


@pytest.fixture
def toy(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump(TOY, sort_keys=False))
    return path


def test_the_ontology_has_the_size_of_the_paper():
    ontology = default_ontology()
    assert len(ontology.categories) == 110
    assert max(len(ontology.ancestors(name)) for name in ontology.categories) + 1 >= 4
    for name, category in ontology.categories.items():
        properties = [item for item in category.own if item[0] in PROPERTIES]
        assert 1 <= len(properties) <= 6, name


def test_a_small_world_in_english(toy):
    fields = {"ontology": str(toy), "vocabulary": "english", "holdout": 1, "documents": 60, "choices": 2, "reverse_fraction": 0}
    dataset = build("semantic_structure", 3, fields)
    facts = {row.sentence: row for row in dataset.rows("facts")}
    assert facts["Cats are a type of organisms."].status in ("derived", "asked")
    assert len(facts["Cats are alive."].proof) == 3
    assert facts["Mice are eaten by cats."].proof == (facts["Cats eat mice."].id,)
    assert "Hammers are alive." not in facts
    assert "Animals can purr." not in facts


def test_the_paper_sizes():
    dataset = build("semantic_structure", 0)
    train = list(dataset.rows("train"))
    kinds = Counter(row.kind for row in (*dataset.rows("validation"), *dataset.rows("test")))
    assert len(train) == 2200
    assert 0.10 <= sum(row.kind == "qa" for row in train) / 2200 <= 0.15
    assert all(4 <= len(row.sentence_ends) <= 20 for row in train)
    assert {len(row.sentence_ends) for row in train} == set(range(4, 21))
    assert all(len(row.facts) == len(row.sentence_ends) for row in train)
    assert min(kinds["rephrase"], kinds["reversal"], kinds["syllogism"]) >= 300
    assert kinds["category_holdout"] >= 100
    assert dataset.covered <= 2200 // 8


def test_every_format_is_used():
    dataset = build("semantic_structure", 1)
    openings = [row.text for row in dataset.rows("train")]
    for style in formats("semantic_structure"):
        literal = style["opening"].fill({"topic": "\0", "Topic": "\0", "number": "\0"}).split("\0")[0]
        assert sum(text.startswith(literal) for text in openings) > 20, style["name"]


@pytest.mark.parametrize("seed", range(5))
def test_a_held_out_category_occurs_only_with_its_parent(seed):
    dataset = build("semantic_structure", seed)
    rows = [row for row in dataset.rows("test") if row.kind == "category_holdout"]
    subjects = Counter()
    for row in rows:
        relation, rest = row.claims[row.answer[0]].split("(")
        subject, object_ = rest.rstrip(")").split(", ")
        subjects[object_ if relation == "includes" else subject] += 1
    assert len(subjects) >= 10
    ids = {str(fact): fact.id for bundle in dataset.world.bundles for fact in bundle.facts}
    for word in subjects:
        about = [fact for fact in ids if f"({word}," in fact or f" {word})" in fact]
        assert len(about) == 1
        assert about[0].startswith(f"is_a({word}, ")
        told = 0
        for document in dataset.rows("train"):
            start = 0
            for end, fact in zip(document.sentence_ends, document.facts, strict=True):
                if word in document.text[start:end].lower().replace("\n", " "):
                    assert fact == ids[about[0]]
                    told += 1
                start = end
        assert told > 0


def test_everything_that_follows_about_a_held_out_category_is_asked():
    dataset = build("semantic_structure", 2)
    held_out = {fact.subject for bundle in dataset.world.bundles if not bundle.terms for fact in bundle.facts}
    assert len(held_out) == 12
    asked = {row.claims[row.answer[0]] for row in dataset.rows("test") if row.kind == "category_holdout"}
    inverse = {relation.inverse: name for name, relation in dataset.world.relations.items()}
    forward = {"is_a", "is", "can", "has", *default_ontology().relations}
    due = set()
    for row in dataset.rows("facts"):
        claim = f"{row.relation}({row.subject}, {row.object})"
        if row.subject in held_out and row.relation in forward and row.status != "stated":
            due.add(claim)
        if row.object in held_out and inverse[row.relation] == "is_a" and len(row.proof) == 1:
            due.add(claim)
    assert asked == due


@pytest.mark.parametrize("kind", ["rephrase", "reversal", "syllogism"])
def test_questions_in_groups_share_their_choices_and_each_is_gold_once(kind):
    dataset = build("semantic_structure", 4)
    rows = [row for split in ("validation", "test") for row in dataset.rows(split) if row.kind == kind]
    groups = defaultdict(list)
    for row in rows:
        groups[row.relation, tuple(sorted(c.split(", ")[1] for c in row.claims))].append(row.claims[row.answer[0]].split(", ")[1])
    fair = 0
    for (_, choices), golds in groups.items():
        times = Counter(golds)
        fair += len(golds) if len({times[choice] for choice in choices}) == 1 else 0
    assert fair >= 0.9 * len(rows)


def test_hops_grow_with_the_chain():
    hops = Counter(row.hops for row in build("semantic_structure", 0).rows("test") if row.kind == "syllogism")
    assert set(hops) >= {2, 3, 4}


def test_reverse_fraction_states_both_directions_and_asks_neither():
    for share in (0.0, 0.5):
        dataset = build("semantic_structure", 0, {"reverse_fraction": share})
        world = dataset.world
        stated = {fact for bundle in world.bundles for fact in bundle.facts}
        both = [
            f
            for f in stated
            if f._replace(relation=world.relations[f.relation].inverse, subject=f.object, object=f.subject) in stated
        ]
        assert abs(len(both) / 2 / (len(stated) - len(both) / 2) - share) < 0.06
        asked = {row.claims[row.answer[0]] for row in dataset.rows("test")}
        assert not asked & {str(fact) for fact in stated}


@pytest.mark.parametrize("size", [30, 111, 400])
def test_other_sizes(size):
    dataset = build("semantic_structure", 0, {"n_categories": size, "holdout": 3, "documents": 20 * size})
    names = {e for b in dataset.world.bundles for f in b.facts if f.relation == "is_a" for e in (f.subject, f.object)}
    assert abs(len(names) - size) <= size // 20  # roots without children are in no is_a fact
    assert {row.kind for row in dataset.rows("test")} == {"reversal", "syllogism", "category_holdout"}


def test_a_grown_ontology_has_the_statistics_of_the_original():
    base, grown = default_ontology(), grow(default_ontology(), 5000, seed=1)
    assert len(grown.categories) == 5000

    def statistics(ontology):
        n = len(ontology.categories)
        uses = Counter("relation" if key in ontology.relations else key for c in ontology.categories.values() for key, _ in c.own)
        depth = sum(len(ontology.ancestors(name)) for name in ontology.categories) / n
        inner = ontology.children()
        leaves = sum(name not in inner for name in ontology.categories) / n
        words = len(ontology.roles()) / n
        return {"depth": depth, "leaves": leaves, "words": words, **{key: uses[key] / n for key in (*PROPERTIES, "relation")}}

    expected, found = statistics(base), statistics(grown)
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=0.15), key
    properties = [sum(item[0] in PROPERTIES for item in c.own) for c in grown.categories.values()]
    assert (min(properties), max(properties)) == (1, 6)


def change(path, category, **entries):
    data = yaml.safe_load(path.read_text())
    data["categories"].setdefault(category, {}).update(entries)
    path.write_text(yaml.safe_dump(data, sort_keys=False))


@pytest.mark.parametrize(
    ("category", "entries", "message"),
    [
        ("cats", {"parent": "felines"}, "category 'cats' has the parent 'felines', which is not a category"),
        ("organisms", {"parent": "cats"}, "category 'organisms' is its own ancestor"),
        ("cats", {"is": ["alive"]}, "category 'cats' states is 'alive', which it inherits from 'organisms'"),
        ("cats", {"is": ["soft", "soft"]}, "category 'cats' states is 'soft' twice"),
        ("cats", {"eat": ["fish"]}, "category 'cats' has the relation eat to 'fish', which is not a category"),
        ("cats", {"eat": ["animals"]}, "category 'cats' has the relation eat to 'animals', its own kind"),
        ("cats", {"has": ["mice"]}, "category 'mice' uses 'mice' as category, but it is a has elsewhere"),
        ("cats", {"is": "soft"}, "category 'cats': 'is' must be a list of words, not 'soft'"),
        ("cats", {"flies": ["high"]}, "category 'cats' has an unknown key 'flies'; known: parent, is, can, has, eat"),
        ("cats", {"is": ["so, so"]}, "category 'cats' has the word 'so, so'"),
        ("lynxes", {"is": ["shy"]}, "category 'lynxes' must be a mapping with a 'parent'"),
        ("cats", {"can": ["eat"]}, "category 'cats' uses 'eat' as can, but it is a verb of a relation elsewhere"),
    ],
)
def test_a_broken_ontology_names_the_category_and_the_fault(toy, category, entries, message):
    change(toy, category, **entries)
    with pytest.raises(IclBenchError) as caught:
        build("semantic_structure", 0, {"ontology": str(toy)})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("categories: [", "not valid YAML"),
        ("just text", "must have the two keys 'relations' and 'categories'"),
        ("relations: {}\ncategories: {}", "must be mappings with at least one entry"),
        ("relations: {eat: {verb: eat}}\ncategories: {a: {parent: null}}", "relation 'eat': inverse field required"),
        (f"relations: {EAT}\ncategories: {{a: {{parent: null}}}}", "there is nothing to tell"),
        (f"relations: {EAT}\ncategories: {{a: {{parent: null, is: [b]}}, a: {{parent: null}}}}", "'a' stands twice"),
        (
            "relations: {eat: {inverse: includes, verb: e, participle: f}}\ncategories: {a: {parent: null}}",
            "'includes' is used twice",
        ),
        (
            "relations: {Eat: {inverse: eaten, verb: e, participle: f}}\ncategories: {a: {parent: null}}",
            "'Eat' must be of lower-case",
        ),
        ("relations: 2001-13-45\ncategories: {}", "not valid YAML"),
    ],
)
def test_what_is_no_ontology(tmp_path, content, message):
    path = tmp_path / "o.yaml"
    path.write_text(content)
    with pytest.raises(IclBenchError, match=message):
        read_ontology(path)


def test_an_ontology_that_is_not_there():
    with pytest.raises(IclBenchError, match=r"ontology nowhere.yaml: cannot be read"):
        read_ontology(Path("nowhere.yaml"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"holdout": 80}, "semantic_structure.holdout = 80: only"),
        ({"documents": 5}, "5 documents are too few to state all facts"),
        ({"n_categories": 200, "vocabulary": "english"}, "English words exist for 110 categories only"),
        ({"n_categories": 4}, "a world of this size has no questions for validation; make it larger"),
        ({"n_categories": 100_001}, "n_categories = 100001: Input should be less than or equal to 100000"),
    ],
)
def test_sizes_that_do_not_fit(fields, message):
    with pytest.raises(IclBenchError, match=message):
        build("semantic_structure", 0, fields)


def test_the_default_holdout_goes_with_the_size():
    for size, expected in ((40, 4), (110, 12), (1000, 12)):
        world = build("semantic_structure", 0, {"n_categories": size}).world
        assert abs(sum(not bundle.terms for bundle in world.bundles) - expected) <= 2
