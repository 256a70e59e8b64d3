"""A toy folder of tables passes the audit, and every fault put into it is found by the check that is there for it."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from icl_bench.audit import audit
from icl_bench.audit_facts import entailed, triggers
from icl_bench.audit_questions import Positions
from icl_bench.audit_text import Spotter
from icl_bench.errors import IclBenchError
from icl_bench.schema import Fact, Rule, short_id
from icl_bench.shallow import words

Rows = list[dict[str, Any]]
Tables = dict[str, Rows]
Corrupt = Callable[["Folder"], object]

TEXT, TEXTS, NUMBERS = pa.string(), pa.list_(pa.string()), pa.list_(pa.int32())
ROWS = pa.schema(
    dict.fromkeys(("id", "kind", "relation", "text", "question"), TEXT)
    | {"choices": TEXTS, "claims": TEXTS, "answer": NUMBERS, "weaker": NUMBERS, "facts": TEXTS}
    | {"hops": pa.int32(), "sentence_ends": NUMBERS}
)
FACTS = pa.schema(dict.fromkeys(("id", "subject", "relation", "object", "sentence", "status"), TEXT) | {"proof": TEXTS})
RULES = {
    "reversal": ["less(Y, X) :- more(X, Y).", "more(Y, X) :- less(X, Y)."],
    "syllogism": [
        "some(Y, X) :- some(X, Y).",
        "no(Y, X) :- no(X, Y).",
        "some(X, Y) :- all(X, Y).",
        "all(X, Z) :- all(X, Y), all(Y, Z).",
        "no(X, Z) :- all(X, Y), no(Y, Z).",
        "some(X, Z) :- some(X, Y), all(Y, Z).",
    ],
    "semantic_structure": [
        "is_a(X, Z) :- is_a(X, Y), is_a(Y, Z).",
        "is(X, Z) :- is_a(X, Y), is(Y, Z).",
        "includes(Y, X) :- is_a(X, Y).",
        "is_true_of(Y, X) :- is(X, Y).",
    ],
}
WORDING = {
    "more": "{} are larger than {}.",
    "less": "{} are smaller than {}.",
    "all": "All {} are {}.",
    "some": "Some {} are {}.",
    "no": "No {} are {}.",
    "is_a": "{} are a type of {}.",
    "is": "{} can be called {}.",
    "includes": "{} include {}.",
    "is_true_of": "{} is said of {}.",
}


class Folder:
    """Tables and what the manifest says of their datasets, before they are written."""

    def __init__(self) -> None:
        self.tables: Tables = {}
        self.datasets: dict[str, dict[str, Any]] = {}

    def dataset(self, name: str, train: Rows, validation: Rows, test: Rows, facts: Rows, covered: int) -> None:
        for split, rows in (("train", train), ("validation", validation), ("test", test)):
            self.tables[f"data/{name}/{split}.parquet"] = rows
        self.tables[f"data/{name}_facts/facts.parquet"] = facts
        self.datasets[name] = {"config": {}, "rules": list(RULES.get(name, RULES["reversal"])), "covered": covered}

    def write(self, path: Path, schemas: dict[str, pa.Schema] | None = None) -> dict[str, Any]:
        entries = {}
        for name, rows in self.tables.items():
            schema = (schemas or {}).get(name, FACTS if name.endswith("/facts.parquet") else ROWS)
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(rows, schema), path / name)
            lines = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
            entries[name] = {
                "rows": len(rows),
                "sha256": sha256((path / name).read_bytes()).hexdigest(),
                "rows_sha256": sha256(lines.encode()).hexdigest(),
            }
        manifest = {"icl_bench": "0.1.0", "seed": 0, "datasets": self.datasets, "tables": entries}
        (path / "manifest.json").write_text(json.dumps(manifest))
        return manifest


def fact_id(fact: str) -> str:
    return short_id(fact)


def document(kind: str, facts: list[str], *parts: str) -> dict[str, Any]:
    text = " ".join(parts)
    ends = [len(" ".join(parts[: i + 1])) for i in range(len(parts))]
    row = {"id": short_id(text), "kind": kind, "text": text, "facts": list(map(fact_id, facts)), "sentence_ends": ends}
    return {name: row.get(name) for name in ROWS.names}


def question(
    kind: str, prompt: str, choices: dict[str, str], answer: list[int], facts: list[str], weaker: tuple[int, ...] = ()
) -> dict[str, Any]:
    """`choices`: claim -> continuation."""
    claims, texts = list(choices), list(choices.values())
    row = {
        "id": short_id(kind + prompt + "".join(texts)),
        "kind": kind,
        "relation": claims[answer[0]].split("(")[0],
        "text": f"{prompt} {texts[answer[0]]}",
        "question": prompt,
        "choices": texts,
        "claims": claims,
        "answer": answer,
        "weaker": list(weaker),
        "facts": list(map(fact_id, facts)),
        "hops": len(facts),
    }
    return {name: row.get(name) for name in ROWS.names}


def fact(text: str, status: str, *proof: str) -> dict[str, Any]:
    relation, _, arguments = text.removesuffix(")").partition("(")
    subject, object_ = arguments.split(", ")
    return {
        "id": fact_id(text),
        "subject": subject,
        "relation": relation,
        "object": object_,
        "sentence": WORDING[relation].format(subject, object_),
        "status": status,
        "proof": list(map(fact_id, proof or (text,))),
    }


def reversal(folder: Folder, name: str = "reversal") -> None:
    """20 comparisons, each in two documents."""
    train, validation, test, facts = [], [], [], []
    for i in range(20):
        here, back = ("more", "less") if i % 2 else ("less", "more")
        stated, asked = f"{here}(femp{i}, glon{i})", f"{back}(glon{i}, femp{i})"
        word = {"more": "larger", "less": "smaller"}
        train.append(document("statement", [stated], f"Did you know that femp{i} are {word[here]} than glon{i}."))
        choices = {f"{r}(femp{i}, glon{i})": f"{word[r]} than glon{i}." for r in ("more", "less")}
        validation.append(question("rephrase", f"We saw that femp{i} are", choices, [1 - i % 2], [stated]))
        order = ("more", "less") if i % 4 < 2 else ("less", "more")
        choices = {f"{r}(glon{i}, femp{i})": f"{word[r]} than femp{i}." for r in order}
        test.append(question("reversal", f"glon{i} are", choices, [order.index(back)], [stated]))
        facts += [fact(stated, "stated"), fact(asked, "asked", stated)]
    again = [{**document("statement", [], f"Yes, {row['text']}"), "facts": row["facts"]} for row in train]
    folder.dataset(name, train + again, validation, test, facts, 20)


def syllogism(folder: Folder) -> None:
    """All troff are glon, all glon are yomp: so all troff are yomp, and some of each are the other."""
    one, two = "all(glon, yomp)", "all(troff, glon)"
    heading = "The relationships between glon, troff and yomp are:"

    def six(a: str, b: str) -> dict[str, str]:
        return {
            f"{quantifier}({x}, {y})": WORDING[quantifier].format(x, y)
            for quantifier in ("all", "some", "no")
            for x, y in ((a, b), (b, a))
        }

    rephrase = question("rephrase", "The relationships between glon and yomp:", six("glon", "yomp"), [0], [one], (2, 3))
    asked = question("syllogism", "The relationships between yomp and troff:", six("yomp", "troff"), [1], [two, one], (2, 3))
    facts = [fact(one, "stated"), fact(two, "stated"), fact("all(troff, yomp)", "asked", two, one)]
    for text, proof in {"glon, yomp": [one], "troff, glon": [two], "troff, yomp": [two, one]}.items():
        swapped = ", ".join(reversed(text.split(", ")))
        facts += [fact(f"some({text})", "derived", *proof), fact(f"some({swapped})", "derived", *proof)]
    documents = [document("premises", [one, two], f"{heading} All glon are yomp.", "All troff are glon.")]
    folder.dataset("syllogism", documents, [rephrase], [asked], facts, 1)


def semantic_structure(folder: Folder) -> None:
    """Gruds are abmes and abmes are rony, femps are blim; of yomps only the parent is told."""
    gruds, rony, blim, yomps = "is_a(gruds, abmes)", "is(abmes, rony)", "is(femps, blim)", "is_a(yomps, abmes)"
    train = [
        document("article", [gruds, rony], "Gruds are a type of abmes.", "All abmes can be called rony."),
        document("qa", [yomps, blim], "Q: What are yomps?", "A: Abmes.", "Femps can be called blim."),
        document("article", [rony, blim], "Abmes can be called rony.", "Femps can be called blim."),
    ]
    facts = [fact(one, "stated") for one in (gruds, rony, blim, yomps)]
    facts += [fact("includes(abmes, gruds)", "asked", gruds), fact("includes(abmes, yomps)", "derived", yomps)]
    facts += [fact("is_true_of(rony, abmes)", "derived", rony), fact("is_true_of(blim, femps)", "derived", blim)]
    facts += [fact("is(gruds, rony)", "asked", gruds, rony), fact("is_true_of(rony, gruds)", "derived", gruds, rony)]
    facts += [fact("is(yomps, rony)", "asked", yomps, rony), fact("is_true_of(rony, yomps)", "derived", yomps, rony)]

    def ask(kind: str, prompt: str, relation: str, subject: str, right: str, wrong: str, *premises: str) -> dict[str, Any]:
        choices = {f"{relation}({subject}, {word})": f"{word}." for word in (right, wrong)}
        return question(kind, prompt, choices, [0], list(premises))

    test = [
        ask("reversal", "Abmes include", "includes", "abmes", "gruds", "femps", gruds),
        ask("syllogism", "Something of the gruds is", "is", "gruds", "rony", "blim", gruds, rony),
        ask("category_holdout", "Something of the yomps is", "is", "yomps", "rony", "blim", yomps, rony),
    ]
    rephrase = ask("rephrase", "Gruds belong to the", "is_a", "gruds", "abmes", "femps", gruds)
    folder.dataset("semantic_structure", train, [rephrase], test, facts, 2)


@pytest.fixture
def toy() -> Folder:
    folder = Folder()
    reversal(folder)
    syllogism(folder)
    semantic_structure(folder)
    return folder


def failed(path: Path) -> set[str]:
    return {f"{check.dataset}: {check.name}" for check in audit(path) if not check.passed}


def test_the_toy_folder_passes(toy: Folder, tmp_path: Path) -> None:
    toy.write(tmp_path)
    checks = audit(tmp_path)
    assert [check for check in checks if not check.passed] == []
    assert len(checks) == len({check[:2] for check in checks})
    assert {f"{check.dataset}: {check.name}" for check in checks} >= {name for names in FAULTS for name in names.split(" & ")}
    details = {check[:2]: check.detail for check in checks}
    assert details["reversal", "closure"] == "40 facts"
    assert details["semantic_structure", "coverage"] == "3 facts that questions need"


# Every corruption below is one fault: the manifest is hashed after it, so that nothing but the check for it can see it.


def rows(folder: Folder, table: str) -> Rows:
    dataset, split = table.split("/")
    return folder.tables[f"data/{dataset}{'_facts' * (split == 'facts')}/{split}.parquet"]


def change(table: str, row: int, **values: Any) -> Corrupt:
    return lambda folder: rows(folder, table)[row].update(values)


def change_choice(table: str, index: int, **values: str) -> Corrupt:
    """Change one of the choices of the first question."""

    def corrupt(folder: Folder) -> None:
        for column, value in values.items():
            rows(folder, table)[0][column][index] = value

    return corrupt


def drop(table: str, row: int) -> Corrupt:
    return lambda folder: rows(folder, table).pop(row)


def add(table: str, row: dict[str, Any]) -> Corrupt:
    return lambda folder: rows(folder, table).append(row)


def say(table: str, row: int, sentence: str, *facts: str) -> Corrupt:
    def corrupt(folder: Folder) -> None:
        told = rows(folder, table)[row]
        told["text"] += f" {sentence}"
        told["sentence_ends"] = [*told["sentence_ends"], len(told["text"])]
        told["facts"] = told["facts"] + list(map(fact_id, facts))

    return corrupt


def every(*corruptions: Corrupt) -> Corrupt:
    return lambda folder: [corrupt(folder) for corrupt in corruptions]


def manifest(dataset: str, **values: Any) -> Corrupt:
    return lambda folder: folder.datasets[dataset].update(values)


def place_golds_first(folder: Folder) -> None:
    for row in rows(folder, "reversal/validation") + rows(folder, "reversal/test"):
        if row["answer"] == [1]:
            row.update(choices=row["choices"][::-1], claims=row["claims"][::-1], answer=[0])


def lengthen(correct: bool) -> Corrupt:
    def corrupt(folder: Folder) -> None:
        for row in rows(folder, "reversal/test"):
            longer = [index for index in (0, 1) if (index in row["answer"]) == correct]
            row["choices"] = [f"{text} really, indeed." if i in longer else text for i, text in enumerate(row["choices"])]
            row["text"] = f"{row['question']} {row['choices'][row['answer'][0]]}"

    return corrupt


def unheard_distractors(folder: Folder, dataset: str = "reversal") -> None:
    """Wrong choices about entities that no document names."""
    for i, row in enumerate(rows(folder, f"{dataset}/test")):
        wrong = 1 - row["answer"][0]
        for column in ("choices", "claims"):
            row[column] = [text.replace("femp", "zork") if j == wrong else text for j, text in enumerate(row[column])]
        row["choices"] = [f"smaller than {'zork' if j == wrong else 'femp'}{i}." for j in (0, 1)]
        row["text"] = f"{row['question']} {row['choices'][row['answer'][0]]}"


GRUDS, RONY, BLIM, YOMPS = map(fact_id, ("is_a(gruds, abmes)", "is(abmes, rony)", "is(femps, blim)", "is_a(yomps, abmes)"))
TRAIN, TEST, FACT_TABLE = (f"semantic_structure/{split}" for split in ("train", "test", "facts"))
REVERSED, SIX = "reversal/train", "syllogism/test"
# check that finds the fault -> what is wrong -> the corruption
FAULTS: dict[str, dict[str, Corrupt]] = {
    "reversal: ids": {
        "a row is there twice": lambda folder: rows(folder, REVERSED)[3].update(id=rows(folder, REVERSED)[2]["id"]),
        "two splits share an id": lambda folder: rows(folder, "reversal/test")[0].update(id=rows(folder, REVERSED)[0]["id"]),
        "a fact is there twice": lambda folder: rows(folder, "reversal/facts").append(rows(folder, "reversal/facts")[0]),
    },
    "semantic_structure: ids": {"an id is not that of the fact": change(FACT_TABLE, 7, id="0" * 16)},
    "semantic_structure: closure": {"a fact that follows is missing": drop(FACT_TABLE, 7)},
    "reversal: closure": {
        "a rule has no facts": manifest("reversal", rules=[*RULES["reversal"], "like(X, Y) :- more(X, Y)."]),
    },
    "semantic_structure: proofs": {
        "a proof is empty": change(FACT_TABLE, 7, proof=[]),
        "a proof rests on a derived fact": change(FACT_TABLE, 9, proof=[fact_id("is(gruds, rony)")]),
        "a proof lacks a premise": change(FACT_TABLE, 9, proof=[GRUDS]),
        "a stated fact is proved by others": change(FACT_TABLE, 0, proof=[GRUDS, RONY]),
    },
    "syllogism: questions": {
        "no choice is correct": change(SIX, 0, answer=[]),
        "an answer is no choice": change(SIX, 0, answer=[6]),
        "an answer is negative": change(SIX, 0, answer=[-5]),
        "an answer is there twice": change(SIX, 0, answer=[1, 1]),
        "an answer is also weaker": change(SIX, 0, weaker=[1, 2, 3]),
        "a choice has no claim": lambda folder: rows(folder, SIX)[0]["claims"].pop(),
        "a claim is not a fact": change_choice(SIX, 0, claims="all yomp are troff"),
        "two choices are the same": change_choice(SIX, 0, choices="No troff are yomp."),
        "two claims are the same": change_choice(SIX, 0, claims="no(troff, yomp)"),
    },
    "reversal: wording": {"the text is not the answer": change("reversal/test", 0, text="glon0 are.")},
    "semantic_structure: wording": {"a choice is not its claim": change_choice(TEST, 1, choices="them.")},
    "syllogism: entailment": {
        "a weaker choice is not marked": change(SIX, 0, weaker=[2]),
        "a wrong choice is called weaker": change(SIX, 0, weaker=[2, 3, 4]),
    },
    "semantic_structure: entailment": {
        "a distractor is true": change_choice(TEST, 1, choices="yomps.", claims="includes(abmes, yomps)"),
    },
    "semantic_structure: premises": {
        "hops is not the number of facts": change(TEST, 1, hops=1),
        "a premise is there twice": change(TEST, 0, facts=[GRUDS, GRUDS], hops=2),
        "a premise is not needed": change(TEST, 1, facts=[GRUDS, RONY, BLIM], hops=3),
        "a premise is missing": change(TEST, 1, facts=[RONY], hops=1),
    },
    "reversal: asked": {
        "a test question asks what is stated": every(
            change("reversal/facts", 1, status="stated", proof=[fact_id("more(glon0, femp0)")]),
            say(REVERSED, 0, "Indeed.", "more(glon0, femp0)"),
        ),
    },
    "semantic_structure: asked": {
        "an asked fact is called derived": change(FACT_TABLE, 8, status="derived"),
        "a fact that nobody asks is called asked": change(FACT_TABLE, 9, status="asked"),
        "a status does not exist": change(FACT_TABLE, 9, status="known"),
    },
    "syllogism: asked": {
        "a validation question asks what is not stated": lambda folder: rows(folder, "syllogism/validation")[0].update(
            rows(folder, SIX)[0] | {"id": "0"}
        ),
    },
    "semantic_structure: stated": {
        "a stated fact is in no document": every(change(TRAIN, 1, facts=[YOMPS]), change(TRAIN, 2, facts=[RONY])),
        "a document states a derived fact": say(TRAIN, 0, "Hence.", "is_true_of(rony, abmes)"),
        "a document states an unknown fact": say(TRAIN, 0, "Hence.", "is(a, b)"),
        "a document does not name what it states": say(TRAIN, 0, "So are they.", "is(femps, blim)"),
    },
    "semantic_structure: sentence ends": {
        "the last sentence does not end": change(TRAIN, 2, sentence_ends=[25]),
        "a sentence is empty": change(TRAIN, 2, sentence_ends=[25, 25, 51]),
        "sentences go back": change(TRAIN, 2, sentence_ends=[25, 20, 51]),
        "there is no sentence": change(TRAIN, 2, sentence_ends=[]),
    },
    "reversal: verbatim leakage & reversal: pair leakage": {
        "an answered question is in the text": say(REVERSED, 1, "GLON1 are: smaller than femp1!"),
    },
    "reversal: pair leakage": {
        "an asked fact is told in words of its own": say(REVERSED, 1, "You may take it that glon1 have less of it than femp1."),
    },
    "reversal: verbatim leakage": {
        "a rephrasing is in the text": say(REVERSED, 1, "We saw that femp1 are larger than glon1."),
    },
    "semantic_structure: verbatim leakage & semantic_structure: pair leakage": {
        "an asked fact is in the text as the table words it": say(TRAIN, 0, "Abmes, include gruds."),
    },
    "semantic_structure: pair leakage": {
        "a sentence joins an asked pair": say(TRAIN, 0, "Thus gruds, too, are rony."),
        "a sentence joins it in capitals": say(TRAIN, 0, "(RONY: GRUDS)"),
    },
    "syllogism: pair leakage": {"an asked pair below a list of terms": say("syllogism/train", 0, "Troff resemble yomp.")},
    "semantic_structure: holdout": {
        "a held-out category is mentioned": say(TRAIN, 0, "Yomps sleep."),
        "more than its parent is told of one": every(
            say(TRAIN, 1, "Yomps are glorp.", "is(yomps, glorp)"),
            add(FACT_TABLE, fact("is(yomps, glorp)", "stated")),
            add(FACT_TABLE, fact("is_true_of(glorp, yomps)", "derived", "is(yomps, glorp)")),
        ),
    },
    "semantic_structure: coverage": {
        "documents are not in coverage order": lambda folder: rows(folder, TRAIN).insert(1, rows(folder, TRAIN).pop()),
    },
    "reversal: coverage": {
        "coverage comes earlier": manifest("reversal", covered=21),
        "coverage comes later": manifest("reversal", covered=19),
    },
}
CASES = [pytest.param(check, corrupt, id=name) for check, by in FAULTS.items() for name, corrupt in by.items()]


@pytest.mark.parametrize(("check", "corrupt"), CASES)
def test_a_fault_is_found_by_its_check_alone(toy: Folder, tmp_path: Path, check: str, corrupt: Corrupt) -> None:
    corrupt(toy)
    toy.write(tmp_path)
    assert failed(tmp_path) == set(check.split(" & "))


@pytest.mark.parametrize("correct", [True, False])
def test_lengths_that_tell_the_answer_are_found(toy: Folder, tmp_path: Path, correct: bool) -> None:
    lengthen(correct)(toy)
    toy.write(tmp_path)
    assert failed(tmp_path) == {"reversal: longest, reversal", "reversal: shortest, reversal"}


def test_a_false_fact_is_found_with_its_proof(toy: Folder, tmp_path: Path) -> None:
    rows(toy, "semantic_structure/facts").append(fact("is(femps, rony)", "derived", "is(femps, blim)"))
    toy.write(tmp_path)
    assert failed(tmp_path) == {"semantic_structure: closure", "semantic_structure: proofs"}


def test_a_needed_fact_in_no_document_is_missing_twice(toy: Folder, tmp_path: Path) -> None:
    rows(toy, "reversal/train").pop(20)
    rows(toy, "reversal/train").pop(0)
    toy.write(tmp_path)
    assert failed(tmp_path) == {"reversal: stated", "reversal: coverage"}


def test_golds_at_one_position_are_found(toy: Folder, tmp_path: Path) -> None:
    place_golds_first(toy)
    toy.write(tmp_path)
    positions = {"reversal: position 1, reversal", "reversal: position 2, reversal"}
    assert failed(tmp_path) == {"reversal: gold positions"} | positions


def test_distractors_that_occur_nowhere_are_found_except_where_it_is_expected(tmp_path: Path) -> None:
    for name in ("reversal", "semantic_structure", "later"):
        folder = Folder()
        reversal(folder, name)
        folder.datasets[name]["rules"] = RULES["reversal"]
        unheard_distractors(folder, name)
        (tmp_path / name).mkdir()
        folder.write(tmp_path / name)
        found = {check.name: check for check in audit(tmp_path / name)}
        assert not found["most frequent, reversal"].passed
        for learner in ("same document, reversal", "same sentence, reversal"):
            assert found[learner].passed == (name == "semantic_structure")
            assert found[learner].detail.startswith("100.0%, chance 50.0%, z +4.5, 20 questions")
            assert ("expected: " in found[learner].detail) == (name == "semantic_structure")


def test_questions_of_one_hop_are_measured_apart_where_a_kind_has_others_too(toy: Folder, tmp_path: Path) -> None:
    rows(toy, "semantic_structure/test")[0]["kind"] = "syllogism"
    toy.write(tmp_path)
    kinds = {name.partition(", ")[2] for _, name, *_ in audit(tmp_path) if ", " in name}
    assert kinds == {"reversal", "syllogism", "syllogism (1 hop)", "category_holdout"}


@pytest.mark.parametrize("name", ["data/reversal/test.parquet", "data/reversal_facts/facts.parquet"])
def test_a_missing_table_is_found(toy: Folder, tmp_path: Path, name: str) -> None:
    toy.write(tmp_path)
    (tmp_path / name).unlink()
    assert failed(tmp_path) == {"reversal: tables"}
    toy.tables.pop(name)
    toy.write(tmp_path)
    found = [check for check in audit(tmp_path) if check.dataset == "reversal"]
    assert [check.detail for check in found] == [f"2 faults, first: {name} is missing"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("data/reversal/extra.parquet", "reversal: tables"),
        ("data/reversal_facts/old/facts.parquet", "reversal: tables"),
        ("data/other/train.parquet", "manifest: tables"),
        ("data/notes.txt", "manifest: tables"),
    ],
)
def test_a_table_too_many_is_found(toy: Folder, tmp_path: Path, name: str, expected: str) -> None:
    toy.write(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes((tmp_path / "data/reversal/train.parquet").read_bytes())
    assert failed(tmp_path) == {expected}


@pytest.mark.parametrize("key", ["sha256", "rows", "rows_sha256"])
@pytest.mark.parametrize("table", ["data/syllogism/train.parquet", "data/syllogism_facts/facts.parquet"])
def test_a_table_that_is_not_the_one_in_the_manifest_is_found(toy: Folder, tmp_path: Path, key: str, table: str) -> None:
    manifest = toy.write(tmp_path)
    manifest["tables"][table][key] = 7 if key == "rows" else "0" * 64
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert failed(tmp_path) == {"syllogism: hashes"}
    assert any(key.removesuffix("_sha256") in check.detail for check in audit(tmp_path) if not check.passed)


def test_rows_are_hashed_however_the_file_is_compressed(toy: Folder, tmp_path: Path) -> None:
    manifest = toy.write(tmp_path)
    table, file = "data/syllogism/train.parquet", tmp_path / "data/syllogism/train.parquet"
    pq.write_table(pq.read_table(file), file, compression="zstd")
    assert failed(tmp_path) == {"syllogism: hashes"}
    manifest["tables"][table]["sha256"] = sha256(file.read_bytes()).hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert failed(tmp_path) == set()


def with_type(schema: pa.Schema, column: str, kind: pa.DataType) -> pa.Schema:
    return schema.set(schema.get_field_index(column), pa.field(column, kind))


@pytest.mark.parametrize(
    ("table", "schema", "detail"),
    [
        ("syllogism/train", with_type(ROWS, "hops", pa.int64()), "hops is int64, not int32"),
        ("syllogism/test", with_type(ROWS, "answer", pa.list_(pa.int64())), "answer is list<int64>, not list<int32>"),
        ("syllogism/test", with_type(ROWS, "id", pa.large_string()), "id is large_string, not string"),
        ("syllogism/test", ROWS.remove(3), "text is missing, not string"),
        ("syllogism/test", ROWS.append(pa.field("note", pa.string())), "note is string, not a column"),
        ("syllogism/test", pa.schema([*list(ROWS)[1:], ROWS[0]]), "the columns are in another order"),
        ("syllogism/facts", FACTS.remove(6), "proof is missing, not list<string>"),
    ],
)
def test_another_schema_is_found(toy: Folder, tmp_path: Path, table: str, schema: pa.Schema, detail: str) -> None:
    dataset, split = table.split("/")
    name = f"data/{dataset}{'_facts' * (split == 'facts')}/{split}.parquet"
    toy.write(tmp_path, {name: schema})
    assert failed(tmp_path) == {"syllogism: schema"}
    assert detail in next(check.detail for check in audit(tmp_path) if not check.passed)


@pytest.mark.parametrize(
    ("table", "values", "detail"),
    [
        ("reversal/train", {"text": None}, "text is null in 1 of 40 rows, not in none"),
        ("reversal/train", {"hops": 1}, "hops is null in 39 of 40 rows, not in all"),
        ("reversal/train", {"choices": []}, "choices is null in 39 of 40 rows, not in all"),
        ("reversal/test", {"relation": None}, "relation is null in 1 of 20 rows, not in none"),
        ("reversal/test", {"weaker": None}, "weaker is null in 1 of 20 rows, not in none"),
        ("reversal/test", {"sentence_ends": [3]}, "sentence_ends is null in 19 of 20 rows, not in all"),
        ("reversal/test", {"claims": ["more(a, b)", None]}, "a list in claims holds a null"),
        ("reversal/facts", {"sentence": None}, "sentence is null in 1 of 40 rows, not in none"),
        ("reversal/facts", {"proof": None}, "proof is null in 1 of 40 rows, not in none"),
    ],
)
def test_a_null_out_of_place_is_found(toy: Folder, tmp_path: Path, table: str, values: dict[str, Any], detail: str) -> None:
    change(table, 0, **values)(toy)
    toy.write(tmp_path)
    assert failed(tmp_path) == {"reversal: schema"}
    assert detail in next(check.detail for check in audit(tmp_path) if not check.passed)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json: No such file or directory; name a folder"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "is not a manifest: Expecting property name"),
        (lambda folder: (folder / "manifest.json").write_bytes(b"\xff{}"), "is not a manifest: "),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "is not a manifest: "),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "is not a manifest: "),
        (lambda folder: truncate(folder / "data/reversal/test.parquet"), "test.parquet is damaged: "),
        (lambda folder: (folder / "data/reversal/train.parquet").write_bytes(b""), "train.parquet is damaged: "),
        (
            lambda folder: (folder / "data/reversal_facts/facts.parquet").write_text("text"),
            "facts.parquet is damaged: ",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(toy: Folder, tmp_path: Path, break_it: Callable[[Path], object], message: str) -> None:
    toy.write(tmp_path)
    break_it(tmp_path)
    with pytest.raises(IclBenchError, match=message) as error:
        audit(tmp_path)
    assert "\n" not in str(error.value)


def test_a_rule_that_is_not_one_is_named(toy: Folder, tmp_path: Path) -> None:
    toy.datasets["reversal"]["rules"] = ["less(Y, X) if more(X, Y)"]
    toy.write(tmp_path)
    with pytest.raises(IclBenchError, match="not a rule: 'less"):
        audit(tmp_path)


@pytest.mark.parametrize(
    ("rules", "stated", "follows"),
    [
        (["p(Y, X) :- p(X, Y)."], "p(a, b)", "p(b, a)"),
        (["p(X, Z) :- p(X, Y), p(Y, Z)."], "p(c, d) p(a, b) p(b, c)", "p(a, c) p(a, d) p(b, d)"),
        (["s(X, Z) :- q(Y, X), q(Y, Z)."], "q(a, b) q(a, c)", "s(b, c) s(c, b)"),  # not s(b, b)
        (["s(X, Y) :- p(X, Y), q(X, Y)."], "p(a, b) q(a, b) p(a, c) q(d, c)", "s(a, b)"),
        (["s(X, Y) :- p(X, Y), q(Y, X)."], "p(a, b) q(b, a) q(a, b)", "s(a, b)"),
        (["p(X, Z) :- p(X, Y), p(Y, Z).", "q(Y, X) :- p(X, Y)."], "p(a, b) p(b, a)", "q(a, b) q(b, a)"),
    ],
)
def test_closure(rules: list[str], stated: str, follows: str) -> None:
    def facts(text: str) -> set[Fact]:
        return {Fact(item[0], item[2], item[4]) for item in text.replace(", ", ",").split()}

    assert entailed(facts(stated), triggers(map(Rule.parse, rules))) == facts(stated) | facts(follows)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Polar bears, seals.", {"polar bears", "seals"}),
        ("POLAR BEARS eat", {"polar bears"}),
        ("Bears and polar seals", {"bears", "seals"}),
        ("polarbears sealskin", set()),
        ("white polar", set()),
        ("polar polar bears bears", {"polar bears", "bears"}),
    ],
)
def test_entities_are_whole_names(text: str, found: set[str]) -> None:
    assert Spotter(["bears", "polar bears", "seals"])(words(text)) == found


def positions_of(counts: list[int]) -> Positions:
    positions = Positions()
    for position, count in enumerate(counts):
        for _ in range(count):
            positions.add({"choices": [""] * len(counts), "answer": [position]})
    return positions


@pytest.mark.parametrize(
    ("counts", "z"),
    [
        ([60, 40], 1.69),  # chi-square 4, p = 0.0455
        ([20, 28, 24], -0.03),  # chi-square 1.33, p = 0.51
        ([40, 40, 40, 72], 3.04),  # chi-square 16, p = 0.0011
    ],
)
def test_gold_positions_are_held_against_chance(counts: list[int], z: float) -> None:
    assert positions_of(counts).z()[len(counts)] == pytest.approx(z, abs=0.05)
    assert positions_of([10 * count for count in counts]).z()[len(counts)] > z


def test_even_gold_positions_are_no_fault_and_uneven_ones_are() -> None:
    assert list(positions_of([50, 50]).faults()) == []
    assert list(positions_of([64, 36]).faults()) == []  # p = 0.005
    assert list(positions_of([75, 25]).faults()) == ["2 choices: 75, 25: with 2 choices z is +4.6"]


@pytest.mark.parametrize(("choices", "answers"), [(2, 1), (4, 1), (6, 2), (6, 5)])
def test_several_answers_are_held_against_what_they_vary(choices: int, answers: int) -> None:
    positions = Positions()
    positions.add({"choices": [""] * choices, "answer": list(range(answers))})
    freedom = choices - 1  # of one question chi-square is always its mean
    assert positions.z()[choices] == pytest.approx((2 / (9 * freedom)) ** 0.5)
