"""`icl-hf` gives the answers of lm-eval's `hf`, and computes each distinct token once."""

import logging
import os
import random
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    Gemma3TextConfig,
    GPTNeoConfig,
    GPTNeoXConfig,
    Lfm2Config,
    LlamaConfig,
    Mamba2Config,
    MambaConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from icl_bench.augment import augment
from icl_bench.errors import IclBenchError
from icl_bench.evaluate import run, task_folder
from icl_bench.generate import generate
from icl_bench.scoring import ICLHF
from icl_bench.scoring.context_cache import BufferLayer
from icl_bench.scoring.forward import Machine
from icl_bench.tasks.data import tables

WINDOW = 4096
SIZE = 500
SMALL: dict[str, Any] = {"vocab_size": SIZE, "hidden_size": 32, "num_hidden_layers": 2, "initializer_range": 0.2}
ATTENTION: dict[str, Any] = {
    **SMALL,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": WINDOW,
}
GROUPED: dict[str, Any] = {**ATTENTION, "num_key_value_heads": 2}
CONFIGS = {
    "llama": LlamaConfig(**GROUPED),
    "qwen3": Qwen3Config(**GROUPED, head_dim=8),
    "gpt_neox": GPTNeoXConfig(**ATTENTION),
    "bloom": BloomConfig(**SMALL, n_head=4),
    "gemma3": Gemma3TextConfig(
        **GROUPED, head_dim=8, sliding_window=32, layer_types=["sliding_attention", "full_attention"], query_pre_attn_scalar=8
    ),
    "lfm2": Lfm2Config(**GROUPED | {"num_hidden_layers": 3}, layer_types=["conv", "full_attention", "conv"]),
    "mamba": MambaConfig(**SMALL, state_size=4),
    "mamba2": Mamba2Config(**SMALL, state_size=4, num_heads=4, head_dim=16, n_groups=1, chunk_size=32),
}
WAY = dict.fromkeys(CONFIGS, "expand") | {
    "llama": "pack",
    "qwen3": "pack",
    "gpt_neox": "pack",
    "mamba": "expand token by token",
}
LOCAL: dict[str, Any] = {
    "num_layers": 2,
    "hidden_size": 32,
    "num_heads": 4,
    "attention_types": [[["global", "local"], 1]],
    "window_size": 32,
}
FIELDS: dict[str, dict[str, Any]] = {
    "reversal": {"facts": 6, "documents_per_fact": 2},
    "syllogism": {"syllogisms": 8},
    "semantic_structure": {"documents": 160},
    "reversal_curse": {"people_per_set": 6, "paraphrases": 2},
    "process": {},
}
CHAT = "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}[assistant]"


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("tables") / "world"
    generate([], 5, out, FIELDS)
    return str(out)


def words(seed: int, count: int) -> str:
    letters = random.Random(seed)
    known = ["".join(letters.choices("aeiouglmnprst", k=4)) for _ in range(60)]
    return " ".join(letters.choices(known, k=count))


@pytest.fixture(scope="module")
def tokenizer(folder: str) -> PreTrainedTokenizerFast:
    own = Tokenizer(models.BPE())
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    own.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=SIZE, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet)
    documents = [text for dataset in FIELDS for text in tables(dataset, None, folder, None)["train"]["text"]]
    own.train_from_iterator([*documents, words(0, 500)], trainer)
    own.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=own, bos_token="<s>", eos_token="</s>", pad_token="</s>", chat_template=CHAT, model_max_length=10**6
    )


def tiny(name: str, dtype: torch.dtype = torch.float32, **options: Any) -> Any:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(CONFIGS[name], **options).to(dtype).eval()


def pair(name: str, tokenizer: Any, dtype: torch.dtype = torch.float32, **options: Any) -> tuple[HFLM, ICLHF]:
    """lm-eval's own and ours, of the same model."""
    model = tiny(name, dtype)
    return HFLM(model, tokenizer=tokenizer, batch_size=8, max_length=WINDOW), ICLHF(
        model, tokenizer=tokenizer, max_length=WINDOW, **options
    )


def requests(texts: Sequence[tuple[str, Any]], kind: str = "loglikelihood") -> list[Instance]:
    return [Instance(kind, {}, text, i) for i, text in enumerate(texts)]


def prompts(documents: int = 25, questions: int = 6, seed: int = 0) -> list[tuple[str, str]]:
    """Questions about two sets of documents and about none, with one, odd, and many choices, in any order."""
    contexts = ["", *("\n\n".join(words(seed + i, 6) for i in range(first, first + documents)) + "\n\n" for first in (0, 100))]
    texts = [
        (f"{context}{words(seed + question, 1 + question % 3)} are".strip(" "), f" {words(choice + 50, 1 + choice % 3)}.")
        for context in contexts
        for question in range(questions)
        for choice in range([1, 3, 4, 30][question % 4])
    ]
    texts += [
        ("", words(1, 3)),
        (contexts[1], words(2, 1)),
        (contexts[2] + "femp are  ", "glon\n"),
        (contexts[1] + "x", "x" * 40),
    ]
    random.Random(seed).shuffle(texts)
    return texts


def assert_same(ours: Sequence[Any], theirs: Sequence[Any], tolerance: float = 1e-4) -> None:
    assert len(ours) == len(theirs)
    for (mine, greedy), (their, their_greedy) in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(their, abs=tolerance)
        assert greedy == their_greedy


def assert_one_warning(caplog: pytest.LogCaptureFixture, text: str) -> None:
    said = [record.getMessage() for record in caplog.records if record.name.startswith("icl_bench")]
    assert len(said) == 1
    assert text in said[0]


# ---- the same answers


@pytest.mark.parametrize("name", CONFIGS)
def test_answers_are_those_of_hf(name: str, tokenizer: Any, caplog: pytest.LogCaptureFixture) -> None:
    theirs, ours = pair(name, tokenizer)
    texts = prompts()
    assert_same(ours.loglikelihood(requests(texts), True), theirs.loglikelihood(requests(texts), True))
    assert ours.ways.proved == {WAY[name]}
    assert not [record for record in caplog.records if record.name.startswith("icl_bench")]


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "bloom"])
def test_every_task(name: str, tokenizer: Any, folder: str) -> None:
    results = []
    for model in pair(name, tokenizer):
        manager = TaskManager(include_path=task_folder(), include_defaults=False, metadata={"path": folder})
        results.append(
            simple_evaluate(model, tasks=["icl_bench"], task_manager=manager, num_fewshot=5, limit=3, bootstrap_iters=0)
        )
    theirs, ours = results
    assert len(ours["samples"]) == 28
    for task, samples in ours["samples"].items():
        for mine, their in zip(samples, theirs["samples"][task], strict=True):
            assert mine["arguments"] == their["arguments"]
            assert_same([answer for (answer,) in mine["resps"]], [answer for (answer,) in their["resps"]])
        assert ours["results"][task]["acc,none"] == theirs["results"][task]["acc,none"]


@pytest.mark.parametrize("name", ["llama", "lfm2"])
def test_every_generation_task(name: str, tokenizer: Any, folder: str) -> None:
    options: dict[str, Any] = {"num_fewshot": 5, "limit": 2, "gen_kwargs": {"max_gen_toks": 6}, "bootstrap_iters": 0}
    results = []
    for model in pair(name, tokenizer):
        model.model.generation_config.pad_token_id = 1
        manager = TaskManager(include_path=task_folder(), include_defaults=False, metadata={"path": folder})
        results.append(
            simple_evaluate(model, tasks=["icl_bench_generate_in_context"], task_manager=manager, **options)["samples"]
        )
    theirs, ours = results
    assert len(ours) == 14
    for task, samples in ours.items():
        assert [sample["resps"] for sample in samples] == [sample["resps"] for sample in theirs[task]]


@pytest.mark.parametrize("name", ["llama", "lfm2"])
def test_with_a_chat_template(name: str, tokenizer: Any, folder: str) -> None:
    results = []
    for model in pair(name, tokenizer):
        manager = TaskManager(include_path=task_folder(), include_defaults=False, metadata={"path": folder})
        tasks = ["icl_bench_reversal_in_context", "icl_bench_reversal"]
        options: dict[str, Any] = {"limit": 4, "apply_chat_template": True, "system_instruction": "Read.", "bootstrap_iters": 0}
        results.append(simple_evaluate(model, tasks=tasks, task_manager=manager, **options)["samples"])
    for task in results[0]:
        for their, mine in zip(results[0][task], results[1][task], strict=True):
            assert mine["arguments"][0][0].startswith("<s>[system] Read.\n[user] ")
            assert_same([answer for (answer,) in mine["resps"]], [answer for (answer,) in their["resps"]])


@pytest.mark.parametrize("options", [{"add_bos_token": True}, {"add_bos_token": False}, {"prefix_token_id": 5}])
def test_with_and_without_a_first_token(options: dict[str, Any], tokenizer: Any) -> None:
    model = tiny("llama")
    theirs = HFLM(model, tokenizer=tokenizer, batch_size=8, **options)
    ours = ICLHF(model, tokenizer=tokenizer, **options)
    texts = [*prompts(questions=2), ("<s>" + "femp are glon. " * 200, "no"), ("<s>" + "femp are glon. " * 200, "yes")]
    assert_same(ours.loglikelihood(requests(texts), True), theirs.loglikelihood(requests(texts), True))


@pytest.mark.parametrize("name", ["mamba", "lfm2", "gemma3", "llama"])
def test_prompts_that_share_no_first_token(name: str, tokenizer: Any) -> None:
    """A short task first, then one with documents: what was proved on the first must hold for the second."""
    model = tiny(name)
    theirs = HFLM(model, tokenizer=tokenizer, batch_size=8, max_length=WINDOW, add_bos_token=False)
    ours = ICLHF(model, tokenizer=tokenizer, max_length=WINDOW, add_bos_token=False)
    texts = prompts(questions=4)
    short = [text for text in texts if len(text[0]) < 100 and text[0]]
    for task in (short, texts):
        assert_same(ours.loglikelihood(requests(task), True), theirs.loglikelihood(requests(task), True))
    assert ours.ways.proved == {WAY[name]}


@pytest.mark.parametrize("kind", ["PromptTuningConfig", "PrefixTuningConfig"])
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # what peft calls
def test_adapters_that_prompt_are_left_to_hf(kind: str, tokenizer: Any) -> None:
    model = peft.get_peft_model(tiny("llama"), getattr(peft, kind)(task_type="CAUSAL_LM", num_virtual_tokens=4)).eval()
    theirs, ours = HFLM(model, tokenizer=tokenizer, batch_size=8), ICLHF(model, tokenizer=tokenizer, batch_size=8)
    texts = prompts(questions=2)
    assert_same(ours.loglikelihood(requests(texts), True), theirs.loglikelihood(requests(texts), True))
    assert not ours.ways.proved


def test_eager_attention_takes_the_mask_too(tokenizer: Any) -> None:
    texts = prompts(questions=3)
    for name in ("llama", "gemma3"):
        model = tiny(name, attn_implementation="eager")
        theirs = HFLM(model, tokenizer=tokenizer, batch_size=8)
        ours = ICLHF(model, tokenizer=tokenizer)
        assert_same(ours.loglikelihood(requests(texts), True), theirs.loglikelihood(requests(texts), True))
        assert ours.ways.proved == {WAY[name]}


@pytest.mark.parametrize("name", CONFIGS)
def test_half_precision(name: str, tokenizer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """No further than `hf` from what the same weights give in float32; or left to `hf`, which says so."""
    theirs, ours = pair(name, tokenizer, torch.bfloat16)
    texts = prompts(questions=3)
    mine, their = ours.loglikelihood(requests(texts), True), theirs.loglikelihood(requests(texts), True)
    exact = HFLM(ours.model.float(), tokenizer=tokenizer, batch_size=8, max_length=WINDOW).loglikelihood(requests(texts), True)
    my_error, their_error = (
        sum(abs(answer - best) for (answer, _), (best, _) in zip(answers, exact, strict=True)) for answers in (mine, their)
    )
    assert 0 < my_error < 1.5 * their_error
    assert len(ours.ways.proved) == 1
    assert not [r for r in caplog.records if r.name.startswith("icl_bench") and r.levelno >= logging.WARNING]


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # what peft calls
def test_adapters(tokenizer: Any) -> None:
    model = peft.get_peft_model(tiny("llama"), peft.LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False)).eval()
    theirs, ours = HFLM(model, tokenizer=tokenizer, batch_size=8), ICLHF(model, tokenizer=tokenizer)
    texts = prompts(questions=2)
    assert_same(ours.loglikelihood(requests(texts), True), theirs.loglikelihood(requests(texts), True))
    assert ours.ways.proved == {"pack"}


# ---- what is refused, and what is left to hf


def test_long_prompts_are_refused(tokenizer: Any) -> None:
    model = tiny("llama")
    text = ("femp are glon. " * 100, "no")
    length = len(tokenizer.encode(text[0].rstrip()))
    ours = ICLHF(model, tokenizer=tokenizer, max_length=300)
    with pytest.raises(IclBenchError, match=rf"^a prompt of {length:,} tokens with \d to score is longer than .* of 300; "):
        ours.loglikelihood(requests([text, ("a", "b")]), True)
    with pytest.raises(IclBenchError, match=rf"^a prompt of {length + 1:,} tokens leaves no room .* of 300, 200 for "):
        ours.generate_until(requests([(text[0], {"max_gen_toks": 100})], "generate_until"), True)
    with pytest.raises(IclBenchError, match="has no tokens"):
        ours.loglikelihood(requests([("a", "")]), True)


@pytest.mark.parametrize("name", ["llama", "lfm2"])
def test_truncation_is_that_of_hf(name: str, tokenizer: Any) -> None:
    model = tiny(name)
    theirs = HFLM(model, tokenizer=tokenizer, batch_size=8, max_length=300)
    ours = ICLHF(model, tokenizer=tokenizer, max_length=300, allow_truncation=True)
    texts = prompts(documents=60, questions=3)
    assert_same(ours.loglikelihood(requests(texts), True), theirs.loglikelihood(requests(texts), True))


def test_a_prompt_that_just_fits(tokenizer: Any) -> None:
    text = ("femp are glon. " * 60 + "femp are", " glon")
    length = len(tokenizer.encode("".join(text)))
    model = tiny("llama")
    for window, fits in ((length - 1, True), (length - 2, False)):  # the last token is not read
        ours = ICLHF(model, tokenizer=tokenizer, max_length=window)
        if fits:
            ours.loglikelihood(requests([text]), True)
        else:
            with pytest.raises(IclBenchError):
                ours.loglikelihood(requests([text]), True)


def test_where_nothing_is_shared_hf_batches(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = pair("llama", tokenizer, batch_size=3)
    texts = [(f"{words(i, 12)} are", f" {words(i, 1)}") for i in range(9)]
    batches = []
    call = ours._model_call
    monkeypatch.setattr(ours, "_model_call", lambda ids: batches.append(ids.shape[0]) or call(ids))
    assert_same(ours.loglikelihood(requests(texts), True), theirs.loglikelihood(requests(texts), True))
    assert batches == [3, 3, 3]
    assert ours.loglikelihood([], True) == []


@pytest.mark.parametrize("name", ["lfm2", "gemma3", "mamba"])
def test_a_wrong_way_is_noticed(name: str, tokenizer: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """A model that claims to be attention alone."""
    theirs, ours = pair(name, tokenizer)
    left = Machine.strategies
    monkeypatch.setattr(Machine, "strategies", lambda self, longest: ["pack", *left(self, longest)])
    texts = prompts(questions=2)
    for _ in range(2):
        assert_same(ours.loglikelihood(requests(texts), True), theirs.loglikelihood(requests(texts), True))
    assert_one_warning(caplog, "falling back to expand")


def test_hf_is_the_last_resort(tokenizer: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    theirs, ours = pair("mamba", tokenizer, batch_size=8)
    monkeypatch.setattr(Machine, "strategies", lambda self, longest: ["expand"])
    texts = prompts(questions=2)
    for _ in range(2):
        assert_same(ours.loglikelihood(requests(texts), True), theirs.loglikelihood(requests(texts), True))
    assert_one_warning(caplog, "expand gives other answers than a plain forward pass")


def test_what_the_configuration_says() -> None:
    def strategies(config: Any, longest: int = 100, **options: Any) -> list[str]:
        model = AutoModelForCausalLM.from_config(config, **options)
        return Machine(model, torch.device("cpu"), torch.autocast("cpu", enabled=False), None).strategies(longest)

    assert strategies(LlamaConfig(**GROUPED)) == ["pack", "expand"]
    assert strategies(CONFIGS["lfm2"]) == ["expand", "expand token by token"]
    assert strategies(CONFIGS["mamba"]) == ["expand", "expand token by token"]
    assert strategies(CONFIGS["mamba"], dtype=torch.bfloat16) == ["expand token by token"]
    assert strategies(GPTNeoConfig(**LOCAL)) == ["expand"]
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
    scaled = LlamaConfig(**GROUPED, rope_parameters=rope)
    assert strategies(scaled, WINDOW)
    assert not strategies(scaled, WINDOW + 1)  # keys would depend on what follows them


# ---- what it costs


def distinct(sequences: Iterable[Sequence[int]]) -> int:
    """How many tokens there are, when what sequences begin with counts once."""
    root: dict[int, Any] = {}
    count = 0
    for tokens in sequences:
        here = root
        for token in tokens:
            count += token not in here
            here = here.setdefault(token, {})
    return count


@pytest.mark.parametrize("name", ["llama", "gpt_neox", "gemma3", "lfm2", "mamba"])
def test_each_token_is_computed_once(name: str, tokenizer: Any) -> None:
    _, ours = pair(name, tokenizer)
    documents = "\n\n".join(words(i, 6) for i in range(150))
    texts = [(f"{documents}\n\n{words(q, 2)} are", f" {words(50 + c, 2)}.") for q in range(60) for c in range(4)]
    ours.loglikelihood(requests(texts), True)
    least = distinct(tokenizer.encode("".join(text))[:-1] for text in texts)
    assert least > 2000
    assert ours.ways.machine.computed <= (1.05 if name != "mamba" else 1.08) * least


def test_the_cache_is_never_copied(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, ours = pair("llama", tokenizer)
    buffers = set()
    update = BufferLayer.update

    def watched(self: BufferLayer, *arguments: Any) -> Any:
        result = update(self, *arguments)
        assert result[0].data_ptr() == self.keys.data_ptr()
        assert result[0].shape[0] == 1
        buffers.add(self.keys.data_ptr())
        return result

    monkeypatch.setattr(BufferLayer, "update", watched)
    ours.loglikelihood(requests(prompts(questions=8)), True)
    assert len(buffers) == 2  # one for each layer


@pytest.mark.parametrize("name", ["llama", "lfm2"])
def test_memory_is_that_of_one_forward_pass(name: str) -> None:
    benchmark = Path(__file__).parent.parent / "benchmarks" / "scoring.py"
    peaks = {}
    for way in ("plain", "icl-hf"):
        command = [sys.executable, str(benchmark), "--memory", way, name, "8192"]
        peaks[way] = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert peaks["icl-hf"] < 1.3 * peaks["plain"], peaks


def test_passes_are_halved_when_memory_runs_out(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = Machine.logits
    for name in ("llama", "lfm2"):
        theirs, ours = pair(name, tokenizer)
        texts = prompts()
        expected = theirs.loglikelihood(requests(texts), True)
        ours.loglikelihood(requests(texts[:8]), True)  # compared with a plain pass while there is memory
        sizes = []

        def scarce(self: Machine, tokens: Any, *arguments: Any, sizes: list[int] = sizes) -> Any:
            result = logits(self, tokens, *arguments)  # what was written to the cache until then is to be undone
            size = sum(map(len, tokens))
            if size > 40:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            sizes.append(size)
            return result

        with monkeypatch.context() as patch:
            patch.setattr(Machine, "logits", scarce)
            assert_same(ours.loglikelihood(requests(texts), True), expected)
        assert max(sizes) > 20
        assert ours.ways.proved == {WAY[name]}


def test_no_memory_at_all_is_one_line(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    _, ours = pair("llama", tokenizer)
    monkeypatch.setattr(Machine, "logits", none)
    with pytest.raises(IclBenchError, match=r"^one token more does not fit into memory: CUDA out of memory"):
        ours.loglikelihood(requests(prompts(questions=1)), True)


def test_the_plan_follows_the_free_memory(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, ours = pair("llama", tokenizer)
    machine = ours.ways.machine
    fitting = []
    for free in (1e5, 1e6, 1e7, 1e11):
        monkeypatch.setattr(machine, "_free", lambda free=free: int(free))
        fitting.append((machine.fitting(1000, 512), machine.fitting_rows(1000, 64)))
    assert fitting == sorted(fitting)
    assert fitting[0][0] < fitting[1][0] < fitting[2][0] < fitting[3][0] == 512
    assert 1 <= fitting[0][1] < fitting[3][1] == 64


def test_progress_is_in_questions(tokenizer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    _, ours = pair("llama", tokenizer)
    texts = prompts(questions=5)
    ours.loglikelihood(requests(texts))
    bar = capsys.readouterr().err.strip().splitlines()[-1]
    count = len({context for context, _ in texts})
    assert "icl-hf: 100%" in bar
    assert f"{count}/{count}" in bar
    assert "question/s" in bar


# ---- generation


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_generation_is_that_of_hf(name: str, batch_size: int, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(name)
    model.generation_config.pad_token_id = 1
    model.generation_config.eos_token_id = None
    theirs = HFLM(model, tokenizer=tokenizer, max_length=WINDOW)
    ours = ICLHF(model, tokenizer=tokenizer, batch_size=batch_size, max_length=WINDOW)
    contexts = list(dict.fromkeys(context for context, _ in prompts() if context))
    options = [{"until": ["a", "\n\n"], "max_gen_toks": 6}, {"until": ["zz"], "max_gen_toks": 4}]
    texts = [(context, options[i % 2]) for i, context in enumerate(contexts)]
    expected = theirs.generate_until(requests(texts, "generate_until"), True)
    tokens = []
    hook = model.register_forward_pre_hook(lambda _, __, given: tokens.append(given["input_ids"].numel()), with_kwargs=True)
    got = ours.generate_until(requests(texts, "generate_until"), True)
    hook.remove()
    assert got == expected
    whole = sum(len(tokenizer.encode(context)) for context in contexts)
    shared = name not in ("mamba", "mamba2")  # their generation cannot be told where the cache ends
    assert sum(tokens) < whole / 3 if shared else sum(tokens) > whole


def test_augmentation_shares_its_documents(saved: str, tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = tmp_path / "world"
    generate(["reversal"], 5, world, {"reversal": {"facts": 12, "documents_per_fact": 1}})
    computed = []
    logits = Machine.logits
    monkeypatch.setattr(
        Machine, "logits", lambda self, tokens, *a: computed.append(sum(map(len, tokens))) or logits(self, tokens, *a)
    )
    arguments = f"pretrained={saved},dtype=float32,device=cpu"
    options = {"model": "icl-hf", "model_args": arguments, "gen_kwargs": "max_gen_toks=3", "documents": 12}
    augment(str(world), "global", ["reversal"], options)
    documents = "".join(tables("reversal", None, str(world), None)["train"]["text"])
    assert len(tokenizer.encode(documents)) < sum(computed) < 4 * len(tokenizer.encode(documents))


def test_generation_that_is_left_to_hf(tokenizer: Any) -> None:
    model = tiny("llama")
    model.generation_config.pad_token_id = 1
    theirs, ours = (
        HFLM(model, tokenizer=tokenizer, max_length=200),
        ICLHF(model, tokenizer=tokenizer, max_length=200, allow_truncation=True),
    )
    documents = "femp are glon. " * 40
    for options in ({"num_beams": 2}, {"cache_implementation": "dynamic"}, {}):
        texts = [(f"{documents}{i}", {"max_gen_toks": 5, "until": ["\n\n"], **options}) for i in range(3)]
        found = [model.generate_until(requests(texts, "generate_until"), True) for model in (theirs, ours)]
        assert found[0] == found[1]


# ---- the command line, and several processes


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> str:
    out = tmp_path_factory.mktemp("model")
    tiny("llama").save_pretrained(out)
    tokenizer.save_pretrained(out)
    return str(out)


def test_the_command_line(saved: str, folder: str, capfd: pytest.CaptureFixture[str]) -> None:
    tasks = ["--tasks", "icl_bench_reversal_in_context", "--metadata", f'{{"path": "{folder}"}}', "--limit", "2"]
    model = ["--model", "icl-hf", "--device", "cpu", "--model_args"]
    assert run([*model, f"pretrained={saved},dtype=float32", *tasks]) == 0
    assert "|acc" in capfd.readouterr().out
    assert run([*model, f"pretrained={saved},dtype=float32,max_length=50", *tasks]) == 2
    assert "the window of" in capfd.readouterr().err.splitlines()[-1]


def test_torch_is_imported_when_it_is_used() -> None:
    code = "import sys; from icl_bench.evaluate import run; assert run(['--help']) == 0; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_without_torch(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], folder: str) -> None:
    from lm_eval.api import registry

    def missing(*_: Any) -> Any:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(registry.model_registry, "get", missing)
    assert run(["--model", "icl-hf", "--tasks", "icl_bench_reversal", "--metadata", f'{{"path": "{folder}"}}']) == 2
    assert capfd.readouterr().err.splitlines()[-1] == "icl-bench: the model needs torch; pip install 'icl_bench[hf]'"


def test_two_processes(saved: str, folder: str, tmp_path: Path) -> None:
    code = """
import json, sys
import torch
torch.set_num_threads(1)
import icl_bench.scoring
from icl_bench.evaluate import task_folder
from lm_eval import simple_evaluate
from lm_eval.models import huggingface
from lm_eval.tasks import TaskManager
saved, folder, out = sys.argv[1:]
manager = TaskManager(include_path=task_folder(), include_defaults=False, metadata={"path": folder})
model = icl_bench.scoring.ICLHF(pretrained=saved, dtype="float32", device="cpu")
tasks = ["icl_bench_reversal_in_context", "icl_bench_syllogism"]
result = simple_evaluate(model, tasks=tasks, task_manager=manager, limit=7, bootstrap_iters=0)
with open(f"{out}/{model.rank}.json", "w") as file:
    json.dump([model.world_size, model.ways.machine.computed, result and result["results"]], file)
"""
    import json

    script = tmp_path / "evaluate.py"
    script.write_text(code)
    found = []
    for processes in ("1", "2"):
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", processes]
        subprocess.run(
            [*launch, str(script), saved, folder, str(tmp_path)],
            env=os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
            check=True,
            capture_output=True,
        )
        found.append([json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(int(processes))])
    ((world, alone, results),), ((two, first, merged), (_, second, nothing)) = found
    assert (world, two) == (1, 2)
    assert nothing is None
    assert results == merged
    assert max(first, second) < alone
