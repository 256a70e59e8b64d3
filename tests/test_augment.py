"""Augmented documents: what is added to a folder, by the closure and by models, and how true it is found to be."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import datasets
import pytest
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from icl_bench import WORLDS, IclBenchError, load_dataset
from icl_bench.audit import audit
from icl_bench.augment import augment
from icl_bench.augment_check import check_augmented
from icl_bench.augment_model import public
from icl_bench.augment_world import source
from icl_bench.generate import generate
from icl_bench.journal import Journal
from icl_bench.rendering import prompt, sentence
from icl_bench.schema import Fact
from icl_bench.shallow import sentences
from icl_bench.streams import stream
from icl_bench.tables import read_manifest, read_table, write_table
from icl_bench.worlds.reversal import FEATURES

SMALL = {
    "reversal": {"facts": 12, "documents_per_fact": 2},
    "syllogism": {"syllogisms": 11},
    "semantic_structure": {"n_categories": 40, "documents": 200},
    "reversal_curse": {"people_per_set": 8, "paraphrases": 2},
    "process": {"documents": 140, "questions": 24},
}


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def make(path, *names, seed=7):
    generate(names or list(SMALL), seed, path, {name: SMALL[name] for name in names or SMALL})
    return path


@pytest.fixture
def folder(tmp_path):
    return make(tmp_path / "world", "reversal", "syllogism")


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A folder of every dataset with its closure."""
    path = make(tmp_path_factory.mktemp("closed") / "world")
    augment(path, "closure")
    return path


class Scripted(LM):
    """Answers by a function of the sentence or document that it is shown; counts what it is asked."""

    asked: list = []  # noqa: RUF012
    answer = staticmethod(lambda text: text)
    fails_after = None

    def generate_until(self, requests, disable_tqdm=False):
        answers = []
        for request in requests:
            if Scripted.fails_after is not None and len(Scripted.asked) >= Scripted.fails_after:
                raise ConnectionError("the line is dead")
            text = request.args[0] if isinstance(request.args[0], str) else request.args[0][0]["content"]
            Scripted.asked.append(request.args)
            shown = re.findall(r"\nSentence: (.*)\nLines:$", text, re.DOTALL) or re.findall(
                r"picked out now:\n\n(.*?)\n\nWhat follows", text, re.DOTALL
            )
            answers.append(Scripted.answer(shown[-1].split("Sentence: ")[-1]))
            self.cache_hook.add_partial("generate_until", request.args, answers[-1])
        return answers

    def apply_chat_template(self, chat_history, add_generation_prompt=True):
        return chat_history

    def loglikelihood(self, requests, disable_tqdm=False):
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


register_model("scripted")(Scripted)


@pytest.fixture
def scripted():
    Scripted.asked, Scripted.answer, Scripted.fails_after = [], staticmethod(lambda text: text), None
    return Scripted


def test_all_datasets_are_here():
    assert SMALL.keys() == WORLDS.keys()


@pytest.mark.parametrize("name", SMALL)
def test_the_closure_tells_all_that_is_asked_and_nothing_false(closed, name):
    (found,) = check_augmented(closed, "closure", [name])
    assert found.parsed == found.entailed == found.sentences == found.documents > 0
    assert found.precision == 1
    assert (found.false, found.unparsed, found.stated) == (0, 0, 0)
    kinds = set(load_dataset(name, path=closed)["test"]["kind"])
    assert kinds <= set(found.recall)
    assert all(told == asked > 0 for kind, (told, asked) in found.recall.items() if kind in kinds)


@pytest.mark.parametrize("name", SMALL)
def test_the_closure_tells_every_entailed_fact_in_several_wordings(closed, name):
    rows = load_dataset(name, path=closed)["augmented_closure"]
    facts = load_dataset(f"{name}_facts", path=closed)["facts"]
    assert Counter(fact for row in rows for fact in row["facts"]) == {
        fact["id"]: 3 for fact in facts if fact["status"] != "stated"
    }
    assert len(set(rows["text"])) == len(set(rows["id"])) == len(rows)
    assert set(rows["kind"]) == {"closure"}


@pytest.mark.parametrize("name", SMALL)
def test_the_closure_is_never_worded_like_a_test_question(closed, name):
    data = load_dataset(name, path=closed)

    def bare(text):
        return f" {' '.join(re.findall(r'[a-z]+', text.lower()))} "

    told = {bare(text) for text in data["augmented_closure"]["text"]}
    for text in data["test"]["text"]:
        asked = bare(text)
        assert not any(document in asked or asked in document for document in told)


def test_a_folder_with_augmented_documents(closed, tmp_path):
    manifest = read_manifest(closed)
    assert list(manifest["augmented"]) == sorted(f"data/{name}/augmented_closure.parquet" for name in SMALL)
    checks = audit(closed)
    assert [check for check in checks if not check.passed] == []
    assert Counter(check.name for check in checks)["augmented"] == len(SMALL)
    both = datasets.load_dataset(str(closed), "reversal", split="train+augmented_closure", cache_dir=str(tmp_path))
    assert Counter(both["kind"]) == {"statement": 24, "closure": 36}
    assert set(load_dataset("reversal", path=closed)) == {"train", "validation", "test", "augmented_closure"}
    assert set(load_dataset("reversal_facts", path=closed)) == {"facts"}
    card = (closed / "README.md").read_text()
    assert "## Augmented documents" in card
    assert "| `reversal` | `augmented_closure` | 36 | `method=closure` |" in card
    assert not [path for path in closed.iterdir() if path.name.startswith(".")]


def test_again_is_the_same_in_any_order(folder):
    augment(folder, "closure", ["reversal"])
    augment(folder, "closure", ["syllogism"])
    once = tree(folder)
    augment(folder, "closure", ["syllogism"])
    augment(folder, "closure", ["reversal"])
    assert tree(folder) == once
    make(folder, "reversal", "syllogism")
    assert "augmented" not in read_manifest(folder)
    augment(folder, "closure")
    assert tree(folder) == once


def closure_facts(folder, name="semantic_structure", **options):
    augment(folder, "closure", [name], options)
    by_id = {row["id"]: row for row in load_dataset(f"{name}_facts", path=folder)["facts"]}
    return [by_id[row["facts"][0]] for row in load_dataset(name, path=folder)["augmented_closure"]]


def test_the_knobs_of_the_closure(tmp_path):
    path = make(tmp_path / "world", "semantic_structure", seed=3)
    every = closure_facts(path, wordings=1)
    assert len(set(map(str, every))) == len(every)
    assert Counter(map(str, closure_facts(path, wordings=5))) == {str(fact): 5 for fact in every}
    half, tenth = closure_facts(path, wordings=1, share=0.5), closure_facts(path, wordings=1, share=0.1)
    assert len(half) == round(len(every) / 2)
    assert half == every[: len(half)]
    assert tenth == half[: len(tenth)]
    assert closure_facts(path, wordings=1, count=7) == every[:7]
    two = closure_facts(path, wordings=1, hops=(2, 2))
    assert {len(fact["proof"]) for fact in two} == {2}
    assert {len(fact["proof"]) for fact in every} > {1, 2}
    assert min(len(fact["proof"]) for fact in closure_facts(path, wordings=1, hops=(3, None))) == 3
    assert {fact["relation"] for fact in closure_facts(path, kinds=("is_a", "can"))} == {"is_a", "can"}
    assert {fact["status"] for fact in closure_facts(path, kinds=("is_a", "can"))} <= {"derived", "asked"}
    assert {fact["status"] for fact in closure_facts(path, kinds=("rephrase",))} == {"stated"}
    closure_facts(path, kinds=("reversal",))
    (found,) = check_augmented(path)
    assert found.recall["reversal"][0] == found.recall["reversal"][1] > 0
    assert found.recall["syllogism"][0] == 0


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("magic", {}, "there is no method 'magic'; methods are closure, local, global"),
        ("closure", {"model": "hf"}, "closure has no field 'model'; its fields are kinds, hops, wordings, share, count"),
        ("closure", {"wordings": 0}, "closure.wordings = 0"),
        ("closure", {"wordings": 9}, "has 5 wordings that are not a test question's; ask for 5 or fewer"),
        ("closure", {"share": 1.5}, "closure.share = 1.5"),
        ("closure", {"hops": (3, 2)}, "hops = 3 to 2"),
        ("closure", {"hops": (4, None)}, "reversal has no facts of these kinds and hops"),
        ("closure", {"kinds": ("rephrases",)}, "reversal has neither questions of kind 'rephrases' nor such a relation"),
        ("local", {}, "local needs a model"),
        ("local", {"model": "clippy"}, "--model clippy: lm-eval has no such model; it has "),
        ("local", {"model": "scripted", "documents": 3}, "only global has documents in its context"),
        ("local", {"model": "scripted", "gen_kwargs": "max_gen_toks"}, "write name=value"),
        ("local", {"model": "scripted", "gen_kwargs": "max_gen_toks=many"}, "max_gen_toks = 'many'"),
        ("local", {"model": "scripted", "wordings": 3}, "local has no field 'wordings'"),
        ("local", {"model": "icl-ngram", "model_args": "brain=big"}, "icl-ngram has no argument 'brain'"),
        ("local", {"model": "icl-ngram", "apply_chat_template": True}, "takes no chat messages"),
        ("local", {"model": "icl-ngram", "gen_kwargs": "until=e"}, "the model wrote nothing"),
        ("global", {"model": "scripted", "documents": 25}, "reversal has 24 documents"),
    ],
)
def test_what_is_refused_changes_nothing(folder, scripted, method, options, message):
    before = tree(folder)
    scripted.answer = staticmethod(lambda text: "")
    with pytest.raises(IclBenchError, match=re.escape(message)):
        augment(folder, method, (), options)
    assert {name: data for name, data in tree(folder).items() if not name.startswith("answers")} == before


def test_folders_that_are_refused(folder, tmp_path):
    with pytest.raises(IclBenchError, match="holds no dataset 'process'; it holds reversal, syllogism"):
        augment(folder, "closure", ["process"])
    with pytest.raises(IclBenchError, match=r"has no manifest.json"):
        augment(tmp_path, "closure")
    with pytest.raises(IclBenchError, match="holds no augmented documents of reversal, syllogism"):
        check_augmented(folder)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"seed": 7', '"seed": 8'))
    with pytest.raises(IclBenchError, match=r"facts.parquet is not what icl_bench .* makes of seed 8"):
        augment(folder, "closure")


def test_training_documents_that_somebody_changed(folder, scripted):
    path = folder / "data" / "reversal" / "train.parquet"
    rows = read_table(path, "train")
    write_table([], path, "train")
    assert rows.num_rows
    with pytest.raises(IclBenchError, match=r"train.parquet is not the file that the manifest speaks of"):
        augment(folder, "local", ["reversal"], {"model": "scripted"})
    assert scripted.asked == []


def test_local_shows_every_sentence_once(folder, scripted):
    scripted.answer = staticmethod(lambda text: f"- {text}\nIt is a mystery.\n")
    added = augment(folder, "local", ["syllogism"], {"model": "scripted"})
    data = load_dataset("syllogism", path=folder)
    shown = {sentence.strip() for row in data["train"] for sentence in sentences(row)}
    assert len(scripted.asked) == len(shown) == added["data/syllogism/augmented_local.parquet"] >= 22
    assert {text.split("\n")[0][2:] for text in data["augmented_local"]["text"]} == shown
    assert {args[1]["until"][0] for args in scripted.asked} == {"\n\n"}
    (found,) = check_augmented(folder)
    assert (found.method, found.documents, found.sentences) == ("local", len(shown), 2 * len(shown))
    assert found.parsed == found.stated >= 11  # premises that do not stand after a list of terms
    assert not [check for check in audit(folder) if not check.passed]


def test_global_shows_all_documents_first_then_one(folder, scripted):
    augment(folder, "global", ["reversal"], {"model": "scripted", "documents": 5, "count": 6})
    train = load_dataset("reversal", path=folder)["train"]["text"]
    assert len(scripted.asked) == 6
    prompts = [args[0] for args in scripted.asked]
    (shared,) = {text.split("picked out now:")[0] for text in prompts}
    assert "\n\n".join(train[:5]) in shared
    assert train[5] not in shared
    assert [train.index(text.split("picked out now:\n\n")[1].split("\n\n")[0]) for text in prompts] == list(range(6))
    (found,) = check_augmented(folder)
    assert (found.parsed, found.stated, found.precision) == (6, 6, 1)


def test_chat_models_get_a_message(folder, scripted):
    augment(folder, "local", ["reversal"], {"model": "scripted", "apply_chat_template": True, "count": 2})
    for (message,), how in scripted.asked:
        assert message["role"] == "user"
        assert message["content"].startswith("Below is one sentence")
        assert how["until"] == []


def test_errors_are_counted_at_the_rate_at_which_a_model_makes_them(folder, scripted):
    """A model that reverses every comparison rightly, but every fourth without turning "more" into "less", and chatters."""
    number = 0

    def reverse(text):
        nonlocal number
        number += 1
        one, relation, other = re.search(r"(\w+) are (?:been )?(.*) than (\w+)", text).groups()
        opposite = {phrase: phrases[1 - i] for phrases in FEATURES.values() for i, phrase in enumerate(phrases)}[relation]
        return f"Sure!\n{other} are {relation if number % 4 == 0 else opposite} than {one}."

    scripted.answer = staticmethod(reverse)
    augment(folder, "local", ["reversal"], {"model": "scripted"})
    (found,) = check_augmented(folder, "local", ["reversal"])
    assert number == 24
    assert found.sentences == 2 * found.documents
    assert found.unparsed == found.parsed == found.documents  # "Sure!" is not understood
    rows = load_dataset("reversal", path=folder)["augmented_local"]
    true = set(load_dataset("reversal_facts", path=folder)["facts"]["id"])
    wrong = sum(not set(row["facts"]) <= true for row in rows)
    assert found.false == wrong > 0
    assert found.entailed == found.parsed - wrong
    assert found.recall["reversal"][0] == sum(bool(set(row["facts"]) & true) for row in rows)


@pytest.mark.parametrize("name", SMALL)
def test_a_model_is_found_to_err_as_often_as_it_does(tmp_path, scripted, name):
    """A model that says what follows, but every third time of something else, and chatters in between."""
    path = make(tmp_path / "world", name)
    here = source(path, read_manifest(path), name)
    facts = list(here.facts)
    draws = stream(7, name, "errors")
    said = []

    def answer(text):
        fact = draws.choice(facts)
        if len(said) % 3 == 2:
            others = [one.object for one in facts if one.relation == fact.relation]
            fact = fact._replace(
                object=draws.choice([other for other in others if fact._replace(object=other) not in here.known])
            )
        said.append(fact)
        return f"Let me think about sentence {len(said)}.\n{sentence(here.world, fact, draws.below(100))}"

    scripted.answer = staticmethod(answer)
    augment(path, "local", [name], {"model": "scripted", "count": 60})
    (found,) = check_augmented(path)
    assert found.documents == len(said) == found.parsed == found.unparsed >= 22
    assert found.false == len(said) // 3
    assert found.precision == found.entailed / len(said)
    data = load_dataset(name, path=path)
    true = {str(fact) for fact in said if fact in here.known}
    for kind, (told, asked) in found.recall.items():
        golds = [
            {row["claims"][i] for i in row["answer"]}
            for split in ("validation", "test")
            for row in data[split]
            if row["kind"] == kind
        ]
        assert (told, asked) == (sum(not gold.isdisjoint(true) for gold in golds), len(golds))


def test_a_result_in_another_form_counts(tmp_path, scripted):
    """A model that works out what a test asks, and writes it in its own way."""
    path = make(tmp_path / "world", "process")
    asked = [row for row in load_dataset("process", path=path)["test"] if row["kind"] == "composition"]
    results = iter([Fact.parse(row["claims"][row["answer"][0]]) for row in asked])

    def answer(text):
        fact = next(results)
        return f"The result of {fact.subject.replace(' ', '')} is 1 * ({fact.object.replace('^', '**')})."

    scripted.answer = staticmethod(answer)
    augment(path, "local", ["process"], {"model": "scripted", "count": len(asked)})
    (found,) = check_augmented(path)
    assert found.parsed == found.entailed == len(asked) > found.stated == 0
    assert found.recall["composition"] == (len(asked), len(asked))
    assert found.recall["new_formula"][0] == 0


def test_what_was_answered_is_not_asked_again(folder, scripted):
    scripted.fails_after = 5
    with pytest.raises(IclBenchError, match="the model failed: ConnectionError: the line is dead; answers so far are kept"):
        augment(folder, "local", (), {"model": "scripted"})
    journal = folder / "answers" / "reversal_local.jsonl"
    assert len(journal.read_text().splitlines()) == 5
    assert not (folder / "data" / "reversal" / "augmented_local.parquet").exists()
    with journal.open("a") as file:
        file.write('{"key": "torn')
    scripted.fails_after = None
    augment(folder, "local", (), {"model": "scripted"})
    texts = [args[0] for args in scripted.asked]
    assert len(texts) == len(set(texts)) >= 24 + 22
    before = tree(folder)
    augment(folder, "local", (), {"model": "scripted"})
    assert tree(folder) == before
    augment(folder, "local", ["reversal"], {"model": "scripted", "count": 3})
    assert len(scripted.asked) == len(texts)
    augment(folder, "local", ["reversal"], {"model": "scripted", "count": 3, "gen_kwargs": "temperature=1"})
    assert len(scripted.asked) == len(texts) + 3
    assert load_dataset("reversal", path=folder)["augmented_local"].num_rows == 3


KILLED = """
import os, signal, sys
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

@register_model("mortal")
class Mortal(LM):
    def __init__(self, dies_after):
        super().__init__()
        self.left = dies_after
    def generate_until(self, requests, disable_tqdm=False):
        answers = []
        for request in requests:
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1
            print("asked", flush=True)
            answers.append(request.args[0][-40:])
            self.cache_hook.add_partial("generate_until", request.args, answers[-1])
        return answers
    loglikelihood = loglikelihood_rolling = None

Mortal.__abstractmethods__ = frozenset()
from pathlib import Path
import icl_bench.augment_model as model
model._SPEED.add("dies_after")
from icl_bench.augment import augment
augment(Path(sys.argv[1]), "local", ["reversal"], {"model": "mortal", "model_args": f"dies_after={sys.argv[2]}"})
"""


def test_a_killed_process_pays_for_no_answer_twice(folder):
    def run(dies_after):
        command = [sys.executable, "-c", KILLED, str(folder), str(dies_after)]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    first = run(7)
    assert first.returncode == -signal.SIGKILL, first.stderr
    assert first.stdout.count("asked") == 7
    second = run(99)
    assert second.returncode == 0, second.stderr
    assert second.stdout.count("asked") == 24 - 7
    assert run(0).returncode == 0


def test_secrets_are_not_written(folder, scripted, monkeypatch):
    monkeypatch.setattr(Scripted, "__init__", lambda self, **others: LM.__init__(self), raising=False)
    options = {"model": "scripted", "model_args": "api_key=sk-1,base_url=http://x,hf_token=t,tokenizer=gpt2,num_concurrent=2"}
    augment(folder, "local", ["reversal"], options)
    assert not [name for name, data in tree(folder).items() if b"sk-1" in data]
    assert read_manifest(folder)["augmented"]["data/reversal/augmented_local.parquet"] == {
        "method": "local",
        "model": "scripted",
        "model_args": "base_url=http://x,tokenizer=gpt2,num_concurrent=2",
    }
    asked = len(scripted.asked)
    augment(
        folder, "local", ["reversal"], {**options, "model_args": "api_key=2,base_url=http://x,tokenizer=gpt2,num_concurrent=9"}
    )
    assert len(scripted.asked) == asked
    assert public("auth_token=1,max_length=9,secret=2,model=keys") == "max_length=9,model=keys"


def test_a_prompt_that_does_not_fit_the_window(folder, scripted, monkeypatch):
    monkeypatch.setattr(Scripted, "max_length", 1100, raising=False)
    monkeypatch.setattr(Scripted, "tok_encode", lambda self, text: text.split(), raising=False)
    with pytest.raises(
        IclBenchError, match=r"window of 1,100 leaves 76 beside 1,024 .* put fewer --documents in context, about \d+%"
    ):
        augment(folder, "global", ["reversal"], {"model": "scripted"})
    assert scripted.asked == []
    augment(folder, "global", ["reversal"], {"model": "scripted", "documents": 1, "gen_kwargs": "max_gen_toks=500"})


def test_icl_ngram_augments_without_inferring(folder):
    augment(folder, "global", ["reversal"], {"model": "icl-ngram", "gen_kwargs": "max_gen_toks=12", "documents": 20})
    (found,) = check_augmented(folder)
    assert found.documents
    assert found.recall["reversal"][0] == 0


def test_an_interruption_leaves_no_table(folder, scripted):
    def interrupt(text):
        raise KeyboardInterrupt

    before = tree(folder)
    scripted.answer = staticmethod(interrupt)
    with pytest.raises(KeyboardInterrupt):
        augment(folder, "local", (), {"model": "scripted"})
    assert tree(folder) == before


def test_progress(folder, scripted):
    seen = []
    augment(folder, "local", ["reversal"], {"model": "scripted"}, lambda *what: seen.append(what))
    assert seen == [("data/reversal/augmented_local.parquet", done, 24) for done in (0, 24)]


def test_the_audit_sees_augmented_documents_that_were_changed(folder):
    augment(folder, "closure", ["reversal"])
    table = "data/reversal/augmented_closure.parquet"
    data = (folder / table).read_bytes()
    write_table([], folder / table, "train")
    assert [check.name for check in audit(folder) if not check.passed] == ["hashes"]
    (folder / table).unlink()
    assert [check.name for check in audit(folder) if not check.passed] == ["tables"]
    (folder / table).write_bytes(data)
    (folder / "data" / "syllogism" / "augmented_closure.parquet").write_bytes(data)
    (failed,) = [check for check in audit(folder) if not check.passed]
    assert "augmented_closure.parquet should not be there" in failed.detail


def test_a_closure_document_with_an_untrue_fact_fails_the_audit(folder):
    from icl_bench.schema import Document

    augment(folder, "closure", ["reversal"])
    manifest = read_manifest(folder)
    table = "data/reversal/augmented_closure.parquet"
    fact = Fact("more_bright", "a", "b")
    row = Document(id="0", kind="closure", text="A are brighter than b.", facts=(fact.id,), sentence_ends=(22,))
    manifest["tables"][table] = write_table([row], folder / table, "train")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (failed,) = [check for check in audit(folder) if not check.passed]
    assert failed.name == "augmented"
    assert f"its fact {fact.id} does not follow" in failed.detail


def test_a_torn_journal(tmp_path):
    path = tmp_path / "answers" / "x.jsonl"
    journal = Journal(path)
    journal.write("a", "one\ntwo")
    journal.write("b", "ünï")
    path.write_bytes(path.read_bytes()[:-5])
    again = Journal(path)
    assert dict(again) == {"a": "one\ntwo"}
    again.write("b", "three")
    again.write("c", "four")
    assert dict(Journal(path)) == {"a": "one\ntwo", "b": "three", "c": "four"}
    path.write_bytes(b'{"key": 3, "answer": "x"}\n[1]\n\xff\n' + path.read_bytes())
    assert len(Journal(path)) == 3


@pytest.mark.parametrize(("name", "slots"), [("local", {"sentence"}), ("global", {"documents", "document"})])
def test_prompts(name, slots):
    asked = prompt(name)
    assert asked.slots == slots
    text = asked.fill(dict.fromkeys(slots, "X"))
    assert not text.startswith("#")
    assert text.endswith(":")
    first = text.index("X")
    assert name == "local" or text[first:].startswith("X\n\nThat is the end of the documents.")
