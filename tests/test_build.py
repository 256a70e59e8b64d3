"""Whole worlds over many seeds: gold is entailed, distractors are not, nothing asked is told, and seeds share nothing."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from icl_bench import WORLDS
from icl_bench.build import build
from icl_bench.closure import Closure
from icl_bench.errors import IclBenchError
from icl_bench.rendering import STOP, sentence, variables, wordings
from icl_bench.schema import Fact
from icl_bench.tables import canonical, schema_of

GOLDEN = json.loads((Path(__file__).parent / "golden" / "rows.json").read_text())
WORD = re.compile(r"\w+")


fact_of = Fact.parse


def all_wordings(world, fact):
    """Every way in which a document could state a fact, in lower case."""
    wording = world.relations[fact.relation].wording
    values = variables(world, fact)
    yield from (line[0].fill(values).lower() for line in wordings(world.name, f"statements/{wording}"))
    if world.name == "reversal_curse":
        yield from (line[0].fill(values).lower() for line in wordings(world.name, f"documents/{wording}"))
    if world.name == "semantic_structure":
        for folder in ("qa", "table", "fragment"):
            for line in wordings(world.name, f"{folder}/{wording}"):
                yield "\0".join(part.fill(values).lower() for part in line)


def check_questions(dataset):
    """Gold follows from stated facts; distractors do not; weaker choices do, and say less."""
    world = dataset.world
    told = {name for row in dataset.rows("train") for name in row.facts}
    stated = {fact.id: fact for bundle in world.bundles for fact in bundle.facts}
    assert told == set(stated)
    closure = Closure(stated.values(), world.rules, world.derivations)
    ids = set()
    for split in ("validation", "test"):
        for row in dataset.rows(split):
            entailed = {i for i, claim in enumerate(row.claims) if fact_of(claim) in closure}
            assert entailed == {*row.answer, *row.weaker}
            assert row.answer
            assert not set(row.answer) & set(row.weaker)
            proof = [stated[name] for name in row.facts]
            assert all(fact_of(row.claims[i]) in Closure(proof, world.rules, world.derivations) for i in row.answer)
            assert row.hops == closure.hops(fact_of(row.claims[row.answer[0]]))
            assert len(proof) == row.hops or (world.derivations and len(proof) < row.hops)
            assert len(set(row.choices)) == len(set(row.claims)) == len(row.choices)
            assert row.text == f"{row.question} {row.choices[row.answer[0]]}"
            if split == "test":
                assert not any(fact_of(row.claims[i]) in stated.values() for i in row.answer)
            ids.add(row.id)
    assert len(ids) == sum(1 for split in ("validation", "test") for _ in dataset.rows(split))


def check_nothing_asked_is_told(dataset):
    """No training sentence that names both entities of an asked fact states it, whatever the wording."""
    world = dataset.world
    stated = {fact.id: fact for bundle in world.bundles for fact in bundle.facts}
    sentences, places = [], defaultdict(set)
    for row in dataset.rows("train"):
        start = 0
        for i, end in enumerate(row.sentence_ends):
            facts = row.facts if world.name in ("syllogism", "process") else (row.facts[i],)
            for word in WORD.findall(row.text[start:end].lower()):
                places[word].add(len(sentences))
            sentences.append((row.text[start:end].lower(), {stated[name] for name in facts}))
            start = end
    for row in dataset.rows("test"):
        for i in row.answer:
            asked = fact_of(row.claims[i])
            wordings_of_asked = None
            for place in set.intersection(*(places[word] for end in asked[1:] for word in WORD.findall(end.lower()))):
                text, facts = sentences[place]
                if not all(end.lower() in text for end in asked[1:]):
                    continue  # other formulas of the same words
                assert asked not in facts
                if world.name != "syllogism":  # a syllogism's first sentence lists all of its terms
                    assert any({asked.subject, asked.object} == {fact.subject, fact.object} for fact in facts)
                wordings_of_asked = wordings_of_asked or list(all_wordings(world, asked))
                for wording in wordings_of_asked:
                    assert not all(part in text for part in wording.split("\0")), (wording, text)
                assert row.text.lower() not in text


@pytest.mark.parametrize("decade", range(10))
@pytest.mark.parametrize("name", WORLDS)
def test_a_hundred_seeds(name, decade):
    before = None
    for seed in range(10 * decade, 10 * decade + 11):
        dataset = build(name, seed)
        rows = {split: list(dataset.rows(split)) for split in ("train", "validation", "test", "facts")}
        dataset = dataset._replace(rows=lambda split, rows=rows: iter(rows[split]))
        if seed < 10 * decade + 10:
            check_questions(dataset)
            check_nothing_asked_is_told(dataset)
        contents = {
            "facts": {row.sentence for row in rows["facts"]},
            "documents": {row.text for row in rows["train"]},
            "questions": {row.question for split in ("validation", "test") for row in rows[split]},
        }
        if before is not None:
            assert all(not contents[key] & before[key] for key in contents), seed
        before = contents


def digest(name, split, seed, fields=None):
    """What a manifest calls rows_sha256."""
    found = hashlib.sha256()
    names = schema_of(split).names
    for row in build(name, seed, fields).rows(split):
        found.update(canonical({column: row.__dict__.get(column) for column in names}))
    return found.hexdigest()


@pytest.mark.parametrize("seed", ["0", "7", "-1"])
@pytest.mark.parametrize("name", WORLDS)
def test_golden_hashes(name, seed):
    for split in ("train", "validation", "test", "facts"):
        assert digest(name, split, int(seed)) == GOLDEN[seed][name][split], (name, split)


def test_same_bytes_in_another_process_with_another_hash_seed():
    code = (
        "import sys; sys.path.insert(0, 'tests'); from test_build import digest; "
        "from icl_bench import WORLDS; print(*[digest(n, s, 7) for n in WORLDS for s in ('train', 'test', 'facts')])"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for hash_seed in ("1", "2")
    ]
    golden = [GOLDEN["7"][n][s] for n in WORLDS for s in ("train", "test", "facts")]
    assert outputs == [golden, golden]


def test_no_word_is_in_two_datasets_of_a_seed():
    for seed in range(5):
        used = {}
        for name in WORLDS:
            world = build(name, seed).world
            used[name] = {e for bundle in world.bundles for fact in bundle.facts for e in (fact.subject, fact.object)}
        assert not used["reversal"] & used["syllogism"]
        assert not used["reversal"] & {w.removesuffix("s") for w in used["semantic_structure"]}
        assert not used["syllogism"] & {w.removesuffix("s") for w in used["semantic_structure"]}


def test_rows_can_be_read_twice_and_in_any_order():
    dataset = build("semantic_structure", 3, {"n_categories": 40, "holdout": 2})
    assert list(dataset.rows("test")) == list(dataset.rows("test"))
    assert [row.id for row in dataset.rows("facts")] == [row.id for row in dataset.rows("facts")]


@pytest.mark.parametrize("name", WORLDS)
def test_train_is_in_coverage_order(name):
    dataset = build(name, 11)
    needed = {fact for split in ("validation", "test") for row in dataset.rows(split) for fact in row.facts}
    covered = set()
    for number, row in enumerate(dataset.rows("train"), 1):
        covered.update(row.facts)
        assert (needed <= covered) == (number >= dataset.covered)
        if number == dataset.covered:
            break


def test_an_example_from_seed_to_text():
    dataset = build("reversal", 0, {"facts": 2})
    one = dataset.world.bundles[0].facts[0]
    documents = [row.text for row in dataset.rows("train") if row.facts == (one.id,)]
    stated = sentence(dataset.world, one)
    assert all(stated[1:] in text and STOP not in text for text in documents)


def test_an_unknown_dataset():
    with pytest.raises(IclBenchError, match="there is no dataset 'reversals'; there are reversal, syllogism, semantic_structure"):
        build("reversals")
