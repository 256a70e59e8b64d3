"""The lm-eval tasks: the same prompts as lm-eval's own class, what is read, what is refused, what is measured."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import lm_eval.tasks
import pytest
from lm_eval import simple_evaluate
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from icl_bench.demo import demo
from icl_bench.errors import IclBenchError
from icl_bench.evaluate import run, task_folder
from icl_bench.generate import generate
from icl_bench.ngram import NGramLM
from icl_bench.tasks import data
from icl_bench.tasks.data import process_results, process_results_decided, tables

FIELDS: dict[str, dict[str, Any]] = {
    "reversal": {"facts": 12, "documents_per_fact": 2},
    "syllogism": {"syllogisms": 15},
    "semantic_structure": {"documents": 300},
    "reversal_curse": {"people_per_set": 5, "paraphrases": 3},
    "process": {"documents": 133, "questions": 8},
}
KINDS = {
    "reversal": ["rephrase", "reversal"],
    "syllogism": ["rephrase", "syllogism"],
    "semantic_structure": ["rephrase", "reversal", "syllogism", "category_holdout"],
    "reversal_curse": ["rephrase", "name_from_description", "description_from_name"],
    "process": ["rephrase", "new_formula", "composition"],
}
CLOSED_BOOK = [
    "icl_bench_" + (dataset if kind == dataset else f"{dataset}_{kind}") for dataset in KINDS for kind in KINDS[dataset]
]
IN_CONTEXT = [f"{name}_in_context" for name in CLOSED_BOOK]
GENERATE = [f"{name}_generate" for name in CLOSED_BOOK]
GENERATE_IN_CONTEXT = [f"{name}_in_context" for name in GENERATE]
LEAVES = CLOSED_BOOK + IN_CONTEXT + GENERATE + GENERATE_IN_CONTEXT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("tables") / "world"
    generate([], 5, out, FIELDS)
    return str(out)


def manager(**metadata: object) -> TaskManager:
    return TaskManager(include_path=task_folder(), include_defaults=False, metadata=metadata)


def load_task(name: str, **metadata: object) -> Any:
    return manager(**metadata).load(name)["tasks"][name]


def prompts(task: Any, documents: int | None = None, **options: Any) -> list[tuple[str, str]]:
    """What lm-eval sends to the model."""
    if documents is not None:
        task.set_config("num_fewshot", documents)
    task.set_fewshot_seed(0)
    task.build_all_requests(**options)
    return [request.args for request in task.instances]


def stock(name: str, **metadata: object) -> ConfigurableTask:
    """The same YAML without its `class`."""
    config = load_yaml(task_folder() / f"{name}.yaml")
    del config["class"]
    return ConfigurableTask(config={**config, "metadata": config["metadata"] | metadata})


# ---- the YAML files


def test_there_is_a_leaf_for_each_kind_and_condition() -> None:
    known = manager()
    assert sorted(known.all_subtasks) == sorted(LEAVES)
    groups = ["icl_bench", "icl_bench_closed_book", "icl_bench_in_context"]
    assert known.all_groups == sorted(groups + [group.replace("bench", "bench_generate") for group in groups])
    assert all(len((task_folder() / f"{name}.yaml").read_text().splitlines()) <= 4 for name in LEAVES)


def test_groups_hold_all_leaves(folder: str) -> None:
    loaded = manager(path=folder).load(["icl_bench", "icl_bench_generate"])
    assert loaded["group_map"]["icl_bench"] == ["icl_bench_closed_book", "icl_bench_in_context"]
    assert loaded["group_map"]["icl_bench_closed_book"] == CLOSED_BOOK
    assert loaded["group_map"]["icl_bench_in_context"] == IN_CONTEXT
    assert loaded["group_map"]["icl_bench_generate_closed_book"] == GENERATE
    assert loaded["group_map"]["icl_bench_generate_in_context"] == GENERATE_IN_CONTEXT
    assert {task.VERSION for task in loaded["tasks"].values()} == {1.0}
    for name, task in loaded["tasks"].items():
        asked = task.config.dataset_kwargs
        assert set(task.eval_docs["kind"]) == {asked["kind"]}, name
        assert asked["dataset"] in name


# ---- prompts


@pytest.mark.parametrize("name", LEAVES)
@pytest.mark.parametrize("options", [{}, {"system_instruction": "Read."}])
def test_prompts_are_those_of_the_stock_class(folder: str, name: str, options: dict[str, str]) -> None:
    task = load_task(name, path=folder)
    most = task.config.num_fewshot
    for documents in {most, min(most, 7)}:
        ours = prompts(task, documents, limit=3, **options)
        assert ours == prompts(stock(name, path=folder), documents, limit=3, **options)


def test_a_prompt_in_full(folder: str) -> None:
    task = load_task("icl_bench_reversal_in_context", path=folder)
    one, two = list(task.dataset["train"]["text"])[:2]
    doc = task.eval_docs[0]
    assert prompts(task, 2)[:2] == [(f"{one}\n\n{two}\n\n{doc['question']}", f" {choice}") for choice in doc["choices"]]


def test_prompts_are_fast() -> None:
    task = load_task("icl_bench_reversal_in_context", seed=1, config={"reversal.facts": 300})
    start = perf_counter()
    assert len(prompts(task, 1000)) == 600
    assert perf_counter() - start < 2


def test_the_default_is_all_documents_or_a_subsample(folder: str) -> None:
    for name in IN_CONTEXT + GENERATE_IN_CONTEXT:
        task = load_task(name, path=folder)
        documents = len(task.dataset["train"])
        share = 8 if "semantic" in name else 4 if "process" in name else 1
        assert task.config.num_fewshot == -(-documents // share)


def test_more_documents_than_there_are(folder: str) -> None:
    with pytest.raises(IclBenchError, match=r"^--num_fewshot 25, but reversal has 24 documents; ask for 24 or fewer$"):
        prompts(load_task("icl_bench_reversal_in_context", path=folder), 25)


# ---- oracle


@pytest.mark.parametrize("name", IN_CONTEXT)
def test_oracle_documents_prove_the_answer(folder: str, name: str) -> None:
    task = load_task(name, path=folder, oracle=3)
    facts = {row["text"]: set(row["facts"]) for row in task.dataset["train"]}
    sizes = set()
    for (prompt, _), question in zip(prompts(task)[:: len(task.eval_docs[0]["choices"])], task.eval_docs, strict=True):
        *told, asked = prompt.rsplit("\n\n", 1)
        assert asked == question["question"]
        documents = [text for text in facts if f"\n\n{text}\n\n" in f"\n\n{told[0]}\n\n"]
        assert "".join(sorted(told[0])) == "".join(sorted("\n\n".join(documents)))  # these, in whatever order
        assert set(question["facts"]) <= set().union(*(facts[text] for text in documents))
        sizes.add(len(documents))
    assert min(sizes) >= 4
    assert max(sizes) <= 3 + max(len(question["facts"]) for question in task.eval_docs)


def test_oracle_documents_stand_anywhere_and_are_drawn_for_each_question(folder: str) -> None:
    task = load_task("icl_bench_reversal_in_context", config={"reversal.facts": 60}, oracle=3)
    places = [task.sampler.places(question) for question in task.eval_docs]
    facts = task.dataset["train"]["facts"]
    where = {
        next(i for i, place in enumerate(found) if question["facts"][0] in facts[place])
        for found, question in zip(places, task.eval_docs, strict=True)
    }
    assert where == {0, 1, 2, 3}
    assert len({frozenset(found) for found in places}) == len(places)
    assert places == [task.sampler.places(question) for question in reversed(task.eval_docs)][::-1]
    closed = load_task("icl_bench_reversal", path=folder, oracle=3)
    assert prompts(closed) == prompts(load_task("icl_bench_reversal", path=folder))
    alone = load_task("icl_bench_reversal_in_context", path=folder, oracle=0)
    assert all(prompt.count("\n\n") == 1 for prompt, _ in prompts(alone))


@pytest.mark.parametrize(
    ("oracle", "documents", "message"),
    [
        (-1, None, "oracle = -1 is no number of documents"),
        ("3", None, "oracle = '3' is no number of documents"),
        (True, None, "oracle = True is no number of documents"),
        (24, None, "oracle = 24, but reversal has 23 other documents; ask for 23 or fewer"),
        (3, 0, "--num_fewshot 0 and oracle in --metadata; leave one of them out"),
        (3, 5, "--num_fewshot 5 and oracle in --metadata; leave one of them out"),
    ],
)
def test_oracle_refused(folder: str, oracle: Any, documents: int | None, message: str) -> None:
    with pytest.raises(IclBenchError, match=message):
        prompts(load_task("icl_bench_reversal_in_context", path=folder, oracle=oracle), documents)


def test_oracle_documents_beyond_the_window(folder: str, model: str) -> None:
    task = load_task("icl_bench_reversal_in_context", path=folder, oracle=9, pretrained=model, max_length=99)
    with pytest.raises(IclBenchError, match=r"the window of .* 99; ask for fewer with oracle in --metadata, or have it cut"):
        prompts(task)


def test_one_message_of_the_user_under_a_chat_template(folder: str) -> None:
    seen: list[list[dict[str, str]]] = []

    def template(messages: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        seen.append(messages)
        return "".join(f"<{m['role']}>{m['content']}" for m in messages) + "<assistant>" * add_generation_prompt

    task = load_task("icl_bench_reversal_in_context", path=folder)
    options = {"apply_chat_template": True, "fewshot_as_multiturn": True, "chat_template": template, "limit": 1}
    context, continuation = prompts(task, 2, system_instruction="Read.", **options)[0]
    plain = prompts(load_task("icl_bench_reversal_in_context", path=folder), 2, limit=1)[0][0]
    assert seen == [[{"role": "system", "content": "Read."}, {"role": "user", "content": plain}]]
    assert context == f"<system>Read.<user>{plain}<assistant>"
    assert continuation == task.eval_docs[0]["choices"][0]


def test_the_cache_of_prompts_is_left_alone(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lm_eval.api.task.save_to_cache", lambda **_: pytest.fail("it does not know the seed"))
    prompts(load_task("icl_bench_reversal", path=folder), cache_requests=True)


# ---- the window


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a tokenizer of single characters, which begins with a token of its own, and a window of 1,000."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({"<s>": 0, "<unk>": 1}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    out = tmp_path_factory.mktemp("model")
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(out)
    transformers.GPT2Config(n_positions=1000).save_pretrained(out)
    return str(out)


def longest(task: Any, documents: int) -> int:
    return max(len(context + continuation) for context, continuation in prompts(task, documents)) + 1


def test_a_prompt_beyond_the_window_is_refused(folder: str, model: str) -> None:
    name = "icl_bench_reversal_in_context"
    free = load_task(name, path=folder)
    fitting = max(n for n in range(25) if longest(free, n) < 1000)
    task = load_task(name, path=folder, pretrained=model)
    assert prompts(task, fitting) == prompts(free, fitting)
    for documents in (fitting + 1, 24):
        length = longest(free, documents)
        with pytest.raises(IclBenchError) as caught:
            prompts(task, documents)
        assert str(caught.value) == (
            f"{name}: its longest prompt has {length:,} tokens, the window of {model} 1,000; "
            f"--num_fewshot {fitting} fits, or have it cut with allow_truncation=true in --metadata"
        )


@pytest.mark.parametrize(
    "metadata",
    [
        {"allow_truncation": True},
        {"max_length": 4000},
        {"max_model_len": 4000},
        {"tokenizer": None},
    ],
)
def test_a_prompt_that_is_let_through(folder: str, model: str, metadata: dict[str, object]) -> None:
    named = {} if "tokenizer" in metadata else {"pretrained": model}
    assert prompts(load_task("icl_bench_reversal_in_context", path=folder, **named, **metadata))


@pytest.mark.parametrize(
    ("metadata", "window"), [({"max_length": 30}, "30"), ({"base_url": "http://localhost"}, "2,048"), ({}, "1,000")]
)
def test_where_the_window_comes_from(folder: str, model: str, metadata: dict[str, Any], window: str) -> None:
    task = load_task("icl_bench_semantic_structure_reversal_in_context", path=folder, tokenizer=model, **metadata)
    with pytest.raises(IclBenchError, match=f"the window of {model} {window}; "):
        prompts(task)


def test_one_token_of_the_window_stays_free(folder: str, model: str) -> None:
    name = "icl_bench_syllogism_in_context"
    length = longest(load_task(name, path=folder), 15)
    assert prompts(load_task(name, path=folder, pretrained=model, max_length=length + 1))
    with pytest.raises(IclBenchError, match=f"has {length:,} tokens, the window of .* {length:,}; --num_fewshot 14 fits"):
        prompts(load_task(name, path=folder, pretrained=model, max_length=length))


def test_not_even_a_question_fits(folder: str, model: str) -> None:
    with pytest.raises(IclBenchError, match=r"tokens, the window of .* 5; there are no documents to leave out, or"):
        prompts(load_task("icl_bench_reversal", path=folder, pretrained=model, max_length=5))


def test_an_unknown_model_is_not_checked(folder: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("transformers")
    assert prompts(load_task("icl_bench_reversal", path=folder, pretrained=str(tmp_path / "none")))
    assert "prompts are not checked against the window of the model" in caplog.text


# ---- data


def test_data_are_loaded_once(folder: str) -> None:
    assert tables("reversal", None, folder, None) is tables("reversal", None, folder, {})
    assert tables("reversal", 3, None, None) is not tables("reversal", 4, None, None)


def test_a_folder_generated_again_is_read_again(tmp_path: Path) -> None:
    ids = []
    for seed in (1, 2):
        generate(["reversal"], seed, tmp_path / "world", {"reversal": FIELDS["reversal"]})
        ids.append(load_task("icl_bench_reversal", path=str(tmp_path / "world")).eval_docs["id"][0])
    assert ids[0] != ids[1]


def test_seed_and_fields_make_another_world() -> None:
    one, two = (load_task("icl_bench_reversal", seed=s, config={"reversal.facts": 9, "syllogism.x": 1}) for s in (1, 2))
    assert len(one.eval_docs) == len(two.eval_docs) == 9
    assert not set(one.eval_docs["id"]) & set(two.eval_docs["id"])


def test_model_arguments_are_no_clash(folder: str) -> None:
    task = load_task("icl_bench_reversal", path=folder, dataset="another", kind="another", dtype="float16")
    assert set(task.eval_docs["kind"]) == {"reversal"}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"seed": "seven"}, "seed = 'seven' is no integer"),
        ({"seed": True}, "seed = True is no integer"),
        ({"path": 7}, "path = 7 is no text"),
        ({"path": "/nowhere"}, "there is no folder '/nowhere'"),
        ({"config": "facts=9"}, "config = 'facts=9' is no mapping"),
        ({"config": {"facts": 9}}, "config sets 'facts'; write dataset.field, where the dataset is one of reversal, "),
        ({"config": {"reversals.facts": 9}}, "config sets 'reversals.facts'; write dataset.field"),
        ({"config": {"reversal_facts.facts": 9}}, "config sets 'reversal_facts.facts'; write dataset.field"),
        ({"config": {"reversal.fact": 9}}, "reversal has no field 'fact'"),
        ({"config": {"reversal.facts": "many"}}, "reversal.facts = 'many': "),
    ],
)
def test_bad_metadata(metadata: dict[str, object], message: str) -> None:
    with pytest.raises(IclBenchError) as caught:
        load_task("icl_bench_reversal", **metadata)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_unknown_kind(folder: str) -> None:
    with pytest.raises(IclBenchError, match=r"^reversal has no questions of kind 'riddle'; it has rephrase, reversal$"):
        data.load("reversal", "riddle", path=folder)


# ---- metrics


@pytest.mark.parametrize(
    ("likelihoods", "acc", "acc_norm", "acc_decided"),
    [
        ([-1, -9, -9, -9], 1, 1, 1),
        ([-9, -9, -1, -9], 0, 0, 0),
        ([-8, -9, -9, -1], 0, 0, 1),  # the likeliest is weaker: it does not count
        ([-3, -5, -1.4, -9], 0, 1, 0),  # -1.5, -1, -1.4, -3 a character
    ],
)
def test_metrics(likelihoods: Sequence[float], acc: float, acc_norm: float, acc_decided: float) -> None:
    doc = {"choices": ["ab", "abcde", "a", "abc"], "answer": [0, 1], "weaker": [3]}
    results = [(likelihood, False) for likelihood in likelihoods]
    assert process_results(doc, results) == {"acc": acc, "acc_norm": acc_norm, "chance": 0.5}
    decided = process_results_decided(doc, results)
    assert decided.pop("acc_decided") == acc_decided
    assert decided.pop("chance_decided") == pytest.approx(2 / 3)
    assert decided == process_results(doc, results)


def test_metrics_are_those_of_the_stock_class(folder: str) -> None:
    config = load_yaml(task_folder() / "icl_bench_syllogism_rephrase.yaml")
    del config["class"], config["process_results"]
    config["metric_list"] = config["metric_list"][:2]
    task = ConfigurableTask(config={**config, "metadata": {"path": folder}})
    for i, doc in enumerate(task.eval_docs):
        results = [(-float((7 * i + 5 * c) % 11), False) for c in range(6)]
        theirs = task.process_results(doc, results)
        assert {name: process_results(doc, results)[name] for name in theirs} == theirs


@pytest.fixture(scope="module")
def results(folder: str) -> Any:
    """Of all tasks, with --num_fewshot 3."""
    return simple_evaluate(NGramLM(), tasks=["icl_bench"], task_manager=manager(path=folder), num_fewshot=3, log_samples=False)


def test_closed_book_has_no_documents(results: Any) -> None:
    assert {name: results["n-shot"][name] for name in CLOSED_BOOK} == dict.fromkeys(CLOSED_BOOK, 0)
    assert {name: results["n-shot"][name] for name in IN_CONTEXT} == dict.fromkeys(IN_CONTEXT, 3)


def test_results_state_chance(results: Any) -> None:
    for name in CLOSED_BOOK + IN_CONTEXT:
        result = results["results"][name]
        assert {"acc,none", "acc_stderr,none", "acc_norm,none", "chance,none"} <= set(result)
        assert ("acc_decided,none" in result) == ("icl_bench_syllogism" in name)
    assert results["results"]["icl_bench_reversal"]["chance,none"] == 0.5


def test_groups_are_weighted_by_size(results: Any) -> None:
    scored = [results["results"][name] for name in CLOSED_BOOK]
    mean = sum(r["acc,none"] * r["sample_len"] for r in scored) / sum(r["sample_len"] for r in scored)
    assert results["groups"]["icl_bench_closed_book"]["acc,none"] == pytest.approx(mean)
    assert set(results["groups"]) == {"icl_bench", "icl_bench_closed_book", "icl_bench_in_context"}


# ---- command lines


@pytest.fixture
def only_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """lm-eval first reads the YAML files of all its own tasks, which takes seconds, and keeps one test's stderr."""
    monkeypatch.setattr(lm_eval.tasks, "TaskManager", partial(TaskManager, include_defaults=False))
    monkeypatch.setattr("lm_eval.utils.setup_logging", lambda: None)


@pytest.mark.usefixtures("only_ours")
def test_command_line(folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.yaml").write_text(
        "include: %s\ntask: mine\ndataset_kwargs: {dataset: reversal, kind: rephrase}\n" % (task_folder() / "_common.yaml")
    )
    arguments = ["--model", "icl-ngram", "--metadata", f"path={folder}"]
    assert run([*arguments, "--tasks", "icl_bench_reversal,mine", "--include_path", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "|icl_bench_reversal|" in out
    assert "|mine " in out


@pytest.mark.usefixtures("only_ours")
def test_command_line_runs_all_tasks(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--model", "icl-ngram", "--model_args", "order=2", "--metadata", f"path={folder}", "--num_fewshot", "2"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in CLOSED_BOOK)


@pytest.mark.usefixtures("only_ours")
def test_command_line_with_a_file(folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.yaml").write_text(f"tasks: [icl_bench_reversal]\nmodel: icl-ngram\nmetadata: {{path: {folder}}}\n")
    assert run(["--config", str(tmp_path / "run.yaml")]) == 0
    out = capsys.readouterr().out
    assert "|icl_bench_reversal|" in out
    assert "|icl_bench_syllogism|" not in out


@pytest.mark.usefixtures("only_ours")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metadata", "path=/nowhere"], "icl-bench: there is no folder '/nowhere'; "),
        (["--model_args", "ordr=2"], "icl-bench: icl-ngram has no argument 'ordr'; "),
        (
            ["--num_fewshot", "5000", "--metadata", "seed=3"],
            "icl-bench: --num_fewshot 5000, but reversal has 1000 documents; ",
        ),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--model", "icl-ngram", "--tasks", "icl_bench_reversal_in_context", *arguments]) == 2
    err = capfd.readouterr().err
    assert err.splitlines()[-1].startswith(message)
    assert "Traceback" not in err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert "--num_fewshot" in capsys.readouterr().out
    assert run(["--no_such_option"]) == 2


@pytest.mark.usefixtures("only_ours")
def test_validate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from lm_eval.__main__ import cli_evaluate

    names = ",".join(["icl_bench", "icl_bench_generate", *LEAVES])
    monkeypatch.setattr("sys.argv", ["lm-eval", "validate", "--tasks", names, "--include_path", str(task_folder())])
    cli_evaluate()
    assert "All tasks found and valid" in capsys.readouterr().out


def test_demo_without_torch(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icl_bench.demo.find_spec", lambda name: None)
    demo(11, tmp_path / "world")
    out, err = capfd.readouterr()
    assert out.startswith("world of seed 11 in ")
    assert out.count("category_holdout") >= 1
    assert "100 ± 0" in out
    assert "pip install 'icl_bench[hf]'" in out
    assert not err
