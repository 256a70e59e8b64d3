"""Free-form answers: what counts as an answer, what is compared, and models that answer well, badly, oddly and not at all."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import accumulate
from typing import Any

import pytest
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from icl_bench import WORLDS, IclBenchError, load_dataset
from icl_bench.evaluate import task_folder
from icl_bench.generate import generate
from icl_bench.tasks.answers import extract, normalise, process_results

FIELDS: dict[str, dict[str, Any]] = {
    "reversal": {"facts": 12, "documents_per_fact": 2},
    "syllogism": {"syllogisms": 15},
    "semantic_structure": {"documents": 300},
    "reversal_curse": {"people_per_set": 8, "paraphrases": 3},
    "process": {},
}
GOLD, WRONG = "less dangerous than femp.", "more dangerous than femp."
DOC = {"question": "glon are", "choices": [WRONG, GOLD], "answer": [1]}
SYLLOGISM = {
    "question": "What we know about yups and mips:",
    "choices": ["Some yups are mips.", "No yups are mips.", "All yups are mips.", "No mips are yups."],
    "answer": [1, 3],
    "weaker": [],
}


# ---- what is found and compared


@pytest.mark.parametrize(
    "response",
    [
        f"Answer: {GOLD}",
        "Answer: less dangerous than femp",
        "answer : LESS  dangerous than\tFemp!",
        "Femp are more dangerous than glon.\nSo glon are less dangerous.\n\nAnswer: less dangerous than femp.",
        "**Answer:** less dangerous than femp.",
        "**Answer: less dangerous than femp.**",
        "**Answer**: *less dangerous than femp*.",
        "### Final answer: `less dangerous than femp`",
        "> Answer: “less dangerous than femp.”",
        "- Answer: 'less dangerous than femp'.",
        "Answer: less dangerous than the femp",
        "Answer: glon are less dangerous than femp.",
        "Answer: The glon are less dangerous than femp.",
        r"Answer: $\boxed{\text{less dangerous than femp}}$",
        "Answer： less dangerous than femp.",
        "Answer: more dangerous than femp.\nNo, I mixed them up.\nAnswer: less dangerous than femp.",
        "Answer: less dangerous than femp.\n\nAnswer: ...",
        "Answer: less dangerous than femp.\r\nThank you.",
        "<think>\nAnswer: more dangerous than femp.\n</think>\nAnswer: less dangerous than femp.",
        "Answer: more dangerous than femp.\n</think>\nAnswer: less dangerous than femp.",
    ],
)
def test_a_right_answer(response: str) -> None:
    assert process_results(DOC, [response]) == {"exact_match": 1, "no_answer": 0, "chance": 0.5}


@pytest.mark.parametrize(
    "response",
    [
        f"Answer: {WRONG}",
        "Answer: less dangerous",
        "Answer: less dangerous than femp and blip.",
        "Answer: not less dangerous than femp.",
        "Answer: less dangerous than femp, or more dangerous than femp.",
        "Answer: femp",
        "Answer: 2",
        "Answer: less dangerous than femp.\nAnswer: more dangerous than femp.",
        "Answer: I cannot tell.",
    ],
)
def test_a_wrong_answer(response: str) -> None:
    assert process_results(DOC, [response]) == {"exact_match": 0, "no_answer": 0, "chance": 0.5}


@pytest.mark.parametrize(
    "response",
    [
        "",
        "less dangerous than femp.",
        "The answer is less dangerous than femp.",
        "In short, the answer: less dangerous than femp.",
        "Answer less dangerous than femp.",
        "Answer:",
        "Answer: ...",
        "Answer: **",
        "Answers: less dangerous than femp.",
        "<think>\nAnswer: less dangerous than femp.\nBut wait",
        "Answer: less dangerous than femp.</think>",
        "\x00\ufffd 🤷 \\boxed{ ]]] {{question}} Answer",
        "lol " * 5000,
    ],
)
def test_no_answer(response: str) -> None:
    assert extract(response) is None
    assert process_results(DOC, [response]) == {"exact_match": 0, "no_answer": 1, "chance": 0.5}


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("No yups are mips.", 1),
        ("no mips are yups", 1),
        ("What we know about yups and mips: No mips are yups.", 1),
        ("Some yups are mips.", 0),
        ("No yups are mips. No mips are yups.", 0),
    ],
)
def test_two_right_answers(answer: str, right: int) -> None:
    assert process_results(SYLLOGISM, [f"Answer: {answer}"]) == {"exact_match": right, "no_answer": 0, "chance": 0.5}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("An  orange,\nthe apple", "orange apple", True),
        ("the author of “Glass Rain”", 'Author of "glass rain"', True),
        (r"\boxed{x + 1}", "x+1", True),
        ("2 * f( x )", "2*f(x)", True),
        ("a + b", "b", False),
        ("-x", "x", False),
        ("x^2", "x2", False),
        ("2.5", "25", False),
        ("f'(x)", "f(x)", False),
        ("A'Bell", "bell", False),
    ],
)
def test_normalise(one: str, other: str, same: bool) -> None:
    assert (normalise(one) == normalise(other)) == same
    assert normalise(normalise(one)) == normalise(one)


@pytest.mark.parametrize("name", WORLDS)
def test_every_choice_can_be_answered_and_none_is_taken_for_another(name: str) -> None:
    world = load_dataset(name)
    for split in ("validation", "test"):
        for row in world[split]:
            texts = [text for choice in row["choices"] for text in (choice, f"{row['question']} {choice}")]
            assert len(set(map(normalise, texts))) == len(texts)
            scores = [process_results(row, [f"Answer: {choice}"])["exact_match"] for choice in row["choices"]]
            assert [i for i, score in enumerate(scores) if score] == row["answer"]


# ---- models


class Scripted(LM):  # type: ignore[misc]
    """A model that answers by a script, which is given a question and its number."""

    tokenizer_name = "scripted"

    def __init__(self, script: Callable[[dict[str, Any], int], str]) -> None:
        super().__init__()
        self.script = script
        self.prompts: list[str] = []

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        self.prompts += [request.args[0] for request in requests]
        return [self.script(request.doc, i) for i, request in enumerate(requests)]

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        return "".join(f"<{turn['role']}>{turn['content']}" for turn in chat_history) + "<assistant>" * add_generation_prompt

    def chat_template(self, chat_template: bool | str = False) -> str:
        return "scripted"

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


def right(doc: dict[str, Any], i: int) -> str:
    return str(doc["choices"][doc["answer"][i % len(doc["answer"])]])


def wrong(doc: dict[str, Any], i: int) -> str:
    return str(next(choice for k, choice in enumerate(doc["choices"]) if k not in doc["answer"]))


ODD = ["**Answer:** {}", "</think>\n\nanswer: {}", "> Final answer: “{}”", "Hm.\nAnswer: $\\boxed{{{}}}$\nDone."]
SCRIPTS: dict[str, tuple[Callable[[dict[str, Any], int], str], float, float]] = {
    "well": (lambda doc, i: f"It follows.\nAnswer: {right(doc, i)}", 1, 0),
    "oddly": (lambda doc, i: ODD[i % len(ODD)].format(right(doc, i)), 1, 0),
    "badly": (lambda doc, i: f"Answer: {wrong(doc, i)}", 0, 0),
    "without an answer": (right, 0, 1),
    "garbage": (lambda doc, i: "\x00}{ \n" * i + "{{choices}} Answer", 0, 1),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("tables") / "world"
    generate(list(FIELDS), 5, out, FIELDS)
    return str(out)


def scores(folder: str, model: Any, tasks: Sequence[str], metadata: dict[str, Any] | None = None, **options: Any) -> Any:
    manager = TaskManager(include_path=task_folder(), include_defaults=False, metadata={"path": folder, **(metadata or {})})
    return simple_evaluate(model, tasks=list(tasks), task_manager=manager, bootstrap_iters=0, **options)


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripted_models_on_all_tasks(folder: str, name: str) -> None:
    script, exact_match, no_answer = SCRIPTS[name]
    results = scores(folder, Scripted(script), ["icl_bench_generate"], num_fewshot=3, limit=8, log_samples=False)
    for result in [*results["results"].values(), *results["groups"].values()]:
        assert result["exact_match,none"] == exact_match
        assert result["no_answer,none"] == no_answer
        assert 0.2 < result["chance,none"] <= 0.5
    assert set(results["groups"]) == {"icl_bench_generate", "icl_bench_generate_closed_book", "icl_bench_generate_in_context"}


def test_a_model_that_is_right_half_of_the_time(folder: str) -> None:
    def half(doc: dict[str, Any], i: int) -> str:
        return ("", f"Answer: {wrong(doc, i)}", f"Answer: {right(doc, i)}", f"Answer: {right(doc, i)}")[i % 4]

    result = scores(folder, Scripted(half), ["icl_bench_reversal_generate"])["results"]["icl_bench_reversal_generate"]
    assert (result["exact_match,none"], result["no_answer,none"]) == (0.5, 0.25)


def test_a_prompt_in_full_under_a_chat_template(folder: str) -> None:
    model = Scripted(SCRIPTS["well"][0])
    name = "icl_bench_syllogism_generate_in_context"
    options = {"apply_chat_template": True, "fewshot_as_multiturn": True, "system_instruction": "Read."}
    results = scores(folder, model, [name], num_fewshot=2, limit=1, **options)
    assert results["results"][name]["exact_match,none"] == 1
    world = load_dataset("syllogism", path=folder)
    one, two = world["train"]["text"][:2]
    row = world["test"][0]
    options_shown = "\n".join(row["choices"])
    assert model.prompts == [
        f"<system>Read.<user>{one}\n\n{two}\n\n"
        "Complete the text with one of the options, so that what it says is true.\n\n"
        f"Text: {row['question']} ___\nOptions:\n{options_shown}\n\n"
        "You may think first. If several options are true, choose one that says the most; if you cannot tell, choose the "
        "likeliest. Then end with one line that repeats your option word for word:\nAnswer: ...<assistant>"
    ]


def test_a_base_model_stops_before_the_next_question(folder: str) -> None:
    manager = TaskManager(include_path=task_folder(), include_defaults=False, metadata={"path": folder})
    task = manager.load("icl_bench_reversal_generate")["tasks"]["icl_bench_reversal_generate"]
    (stop,) = task.config.generation_kwargs["until"]
    assert f"\n\n{task.doc_to_text(task.eval_docs[0])}".startswith(stop)


# ---- a chat model behind an API


@pytest.fixture
def server(folder: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Its address, and what it was asked. It answers all questions of reversals."""
    rows = load_dataset("reversal", path=folder)["test"]
    golds = {f"Text: {row['question']} ___": right(row, 0) for row in rows}
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(payload)
            gold = next(gold for text, gold in golds.items() if text in payload["messages"][-1]["content"])
            message = {"role": "assistant", "content": f"It follows.\n**Answer:** {gold}"}
            body = json.dumps({"choices": [{"index": 0, "message": message}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/v1/chat/completions", asked
        http.shutdown()


def test_a_chat_model_behind_an_api(folder: str, server: tuple[str, list[dict[str, Any]]]) -> None:
    pytest.importorskip("tenacity")
    url, asked = server
    name = "icl_bench_reversal_generate_in_context"
    arguments = {"base_url": url, "model": "some-chat-model"}
    options = {"model_args": arguments, "metadata": arguments, "apply_chat_template": True, "gen_kwargs": {"max_gen_toks": 77}}
    results = scores(folder, "local-chat-completions", [name], num_fewshot=2, **options)
    assert results["results"][name]["exact_match,none"] == 1
    texts = load_dataset("reversal", path=folder)["train"]["text"][:2]
    assert len(asked) == 12
    assert {payload["max_tokens"] for payload in asked} == {77}
    for payload in asked:
        (message,) = payload["messages"]
        assert message["role"] == "user"
        assert message["content"].startswith("\n\n".join([*texts, "Complete the text"]))


# ---- the window


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a tokenizer of characters and a window of 2,400."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    out = tmp_path_factory.mktemp("model")
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(out)
    transformers.GPT2Config(n_positions=2400).save_pretrained(out)
    return str(out)


NAME = "icl_bench_reversal_generate_in_context"


def ask(folder: str, documents: int, metadata: dict[str, Any], **options: Any) -> list[str]:
    scripted = Scripted(SCRIPTS["well"][0])
    scores(folder, scripted, [NAME], metadata, num_fewshot=documents, **options)
    return scripted.prompts


@pytest.mark.parametrize("chat", [False, True])
def test_the_window_has_room_for_the_answer(folder: str, model: str, chat: bool) -> None:
    closed_book = max(map(len, ask(folder, 0, {}, apply_chat_template=chat)))
    texts = load_dataset("reversal", path=folder)["train"]["text"]
    lengths = list(accumulate((len(f"{text}\n\n") for text in texts), initial=closed_book))
    fitting = max(n for n, length in enumerate(lengths) if length + 1024 < 2400)
    assert 0 < fitting < 24
    assert ask(folder, fitting, {"pretrained": model}, apply_chat_template=chat)
    with pytest.raises(IclBenchError) as caught:
        ask(folder, fitting + 1, {"pretrained": model}, apply_chat_template=chat)
    assert str(caught.value) == (
        f"{NAME}: its longest prompt has {lengths[fitting + 1]:,} tokens and 1,024 are kept for the answer, the window of "
        f"{model} 2,400; --num_fewshot {fitting} fits, or keep less for the answer with max_gen_toks in --gen_kwargs, "
        "or have it cut with allow_truncation=true in --metadata"
    )
    assert ask(folder, fitting + 1, {"pretrained": model}, gen_kwargs={"max_gen_toks": 512})
    assert ask(folder, 24, {"pretrained": model, "allow_truncation": True})
    with pytest.raises(IclBenchError, match=r"and 2,390 are kept for the answer, .*; not one document fits, or keep less"):
        ask(folder, 1, {"pretrained": model}, gen_kwargs={"max_gen_toks": 2390})


def test_messages_are_measured_too(folder: str, model: str, server: tuple[str, list[dict[str, Any]]]) -> None:
    pytest.importorskip("tenacity")
    arguments = {"base_url": server[0], "model": "some-chat-model"}
    options = {"model_args": arguments, "apply_chat_template": True, "limit": 1}
    known = {**arguments, "tokenizer": model}
    assert scores(folder, "local-chat-completions", [NAME], known, num_fewshot=12, **options)  # no cut at lm-eval's 2,048
    with pytest.raises(IclBenchError, match=r"the window of .* 2,400; --num_fewshot \d+ fits"):
        scores(folder, "local-chat-completions", [NAME], known, num_fewshot=24, **options)
