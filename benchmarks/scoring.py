"""`icl-hf` beside lm-eval's `hf`, in one run: wall time, tokens computed, peak memory.

    python benchmarks/scoring.py              a tiny model on the processor; with a GPU, one of 0.6 billion parameters as well
    python benchmarks/scoring.py --memory plain|icl-hf llama|lfm2 8192       bytes at the peak, of one process

Prompts are random words: documents, then one of 200 questions with four choices. Where `hf` would take many minutes it
gets the first questions only, and its time and tokens are multiplied up; the table says how many it got.
"""

from __future__ import annotations

import argparse
import logging
import random
import resource
import subprocess
import sys
import time
from contextlib import nullcontext
from typing import Any

import psutil
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, Lfm2Config, LlamaConfig, PreTrainedTokenizerFast, Qwen3Config

from icl_bench.scoring import ICLHF
from icl_bench.scoring.forward import Machine
from icl_bench.scoring.prefix_tree import PrefixTree
from icl_bench.scoring.ways import Ways

QUESTIONS, CHOICES = 200, 4
VOCABULARY = 4096
SHAPE: dict[str, Any] = {"vocab_size": VOCABULARY, "num_attention_heads": 4, "num_key_value_heads": 2}
TINY = LlamaConfig(**SHAPE, hidden_size=128, intermediate_size=256, num_hidden_layers=4, max_position_embeddings=16384)
LARGER: dict[str, Any] = SHAPE | {"hidden_size": 256, "intermediate_size": 1024, "max_position_embeddings": 16384}
OF_MEMORY = {
    "llama": LlamaConfig(**LARGER, num_hidden_layers=4),
    "lfm2": Lfm2Config(**LARGER, num_hidden_layers=6, layer_types=["conv", "conv", "full_attention"] * 2),
}
ON_GPU = Qwen3Config(
    vocab_size=VOCABULARY,
    hidden_size=1024,
    intermediate_size=3072,
    num_hidden_layers=28,
    num_attention_heads=16,
    num_key_value_heads=8,
    head_dim=128,
    max_position_embeddings=65536,
)
KNOWN = ["".join(random.Random(i).choices("aeiouglmnprst", k=4)) for i in range(800)]
ROWS = [(0, [1, 16, 64], QUESTIONS), (512, [1, 8], 50), (2048, [1], 25), (8192, [1], 2)]
"""Tokens of context, batch sizes of `hf` (the fastest counts), questions that `hf` gets."""


def tokenizer() -> PreTrainedTokenizerFast:
    """Of words that are mostly one or two tokens."""
    own = Tokenizer(models.BPE())
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    own.decoder = decoders.ByteLevel()
    own.train_from_iterator([words(20_000, 1)], trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=["<s>"]))
    return PreTrainedTokenizerFast(tokenizer_object=own, bos_token="<s>", eos_token="<s>", pad_token="<s>")


def words(count: int, seed: int) -> str:
    source = random.Random(seed)
    return " ".join(source.choices(KNOWN, k=count))


def prompts(own: PreTrainedTokenizerFast, context: int) -> list[tuple[str, str]]:
    sentences, length, i = [], 0, 0
    while length < context:
        sentences.append(f"{words(8, i)}.\n\n")
        length += len(own.encode(sentences[-1]))
        i += 1
    documents = "".join(sentences)
    return [
        (f"{documents}{words(4, 10_000 + question)} are", f" {words(3, 20_000 + CHOICES * question + choice)}.")
        for question in range(QUESTIONS)
        for choice in range(CHOICES)
    ]


def timed(model: Any, texts: list[tuple[str, str]]) -> float:
    requests = [Instance("loglikelihood", {}, text, i) for i, text in enumerate(texts)]
    start = time.perf_counter()
    model.loglikelihood(requests, disable_tqdm=True)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def compare(model: Any, own: PreTrainedTokenizerFast, context: int, batch_sizes: list[int], questions: int) -> list[str]:
    texts = prompts(own, context)
    share = questions / QUESTIONS
    inputs = {tuple(own.encode("".join(text)))[:-1] for text in texts}
    tree = PrefixTree()
    for each in inputs:
        tree.add(each)
    computed = [0]
    hook = model.register_forward_pre_hook(
        lambda _, positional, given: computed.__setitem__(0, computed[0] + (positional or [given.get("input_ids")])[0].numel()),
        with_kwargs=True,
    )
    theirs = []
    for batch_size in batch_sizes:
        computed[0] = 0
        hf = HFLM(model, tokenizer=own, batch_size=batch_size)
        theirs.append((timed(hf, texts[: int(len(texts) * share)]) / share, batch_size, computed[0] / share))
    seconds, batch_size, tokens = min(theirs)
    ours = []
    for _ in range(3):
        computed[0] = 0
        ours.append(timed(ICLHF(model, tokenizer=own), texts))
    hook.remove()
    name = f"{seconds:.1f} s" + ("" if share == 1 else f" ({questions} questions x {QUESTIONS // questions})")
    mine = sorted(ours)[1]
    return [
        f"{context:,}",
        f"{name}, batch {batch_size}",
        f"{mine:.2f} s",
        f"{seconds / mine:.1f}x",
        f"{tokens:,.0f}",
        f"{computed[0]:,}",
        f"{computed[0] / tree.size:.3f}",
    ]


def peak(way: str, name: str, context: int) -> int:
    """Bytes that one forward pass over a context, or scoring 100 questions behind it, takes at its peak."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_config(OF_MEMORY[name]).eval()
    source = random.Random(0)

    def some(count: int) -> list[int]:
        return [source.randrange(VOCABULARY) for _ in range(count)]

    def compute(context: int) -> None:
        documents = some(context)
        if way == "plain":
            with torch.no_grad():
                model(torch.tensor([documents]), logits_to_keep=1)
            return
        tree = PrefixTree()
        asked = [(documents + question, some(3)) for question in (some(10) for _ in range(100)) for _ in range(CHOICES)]
        ends = [tree.add([*before, *scored[:-1]]) for before, scored in asked]
        for i, end in enumerate(ends):
            tree.ask(i, end, asked[i][1])
        ways = Ways(Machine(model, torch.device("cpu"), nullcontext(), None))
        best = ways.left(context)[0]
        if not ways.try_one(best, "none", context, lambda run: run(tree, len(asked)).answers()):
            raise SystemExit(f"{best} does not work for {name}")

    compute(32)
    before = psutil.Process().memory_info().rss
    compute(context)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--memory", nargs=3, metavar=("WAY", "MODEL", "TOKENS"))
    if memory := arguments.parse_args().memory:
        sys.stdout.write(f"{peak(memory[0], memory[1], int(memory[2]))}\n")
        return
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)  # several that wait for one another measure what else runs
    console = Console(width=130)
    own = tokenizer()
    columns = ["context", "hf", "icl-hf", "faster", "tokens, hf", "tokens, icl-hf", "over the least"]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(TINY).eval()
    table = Table(*columns, title=f"{QUESTIONS} questions x {CHOICES} choices, one thread, float32")
    for row in ROWS:
        with console.status(f"context of {row[0]:,} tokens"):
            table.add_row(*compare(model, own, *row))
    console.print(table)
    table = Table("model", "one forward pass", "icl-hf", "times", title="memory at the peak, 8,192 tokens, 100 questions")
    for name in OF_MEMORY:
        command = [sys.executable, __file__, "--memory"]
        plain, mine = (
            int(subprocess.run([*command, way, name, "8192"], capture_output=True, text=True, check=True).stdout)
            for way in ("plain", "icl-hf")
        )
        table.add_row(name, f"{plain / 2**20:.0f} MiB", f"{mine / 2**20:.0f} MiB", f"{mine / plain:.2f}")
    console.print(table)
    if torch.cuda.is_available():
        model = AutoModelForCausalLM.from_config(ON_GPU).to("cuda", torch.bfloat16).eval()
        table = Table(*columns, title=f"{torch.cuda.get_device_name()}, 0.5 billion parameters, bfloat16")
        table.add_row(*compare(model, own, 32_768, [1], 5))
        console.print(table)


if __name__ == "__main__":
    main()
