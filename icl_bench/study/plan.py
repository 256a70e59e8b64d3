"""What a study will read, and from that how long it takes and how much memory it needs, before anything is run.

Tokens are counted with the model's tokenizer. The rest is arithmetic, with P parameters in matrices: a token costs 2P
operations forward, 4P more backward (2P with LoRA, whose frozen matrices need no gradients), and in attention 4 x layers x
width for every token of the context that it looks at (Kaplan et al. 2020, arXiv 2001.08361, section 2.1; within questions and
examples, which are short, attention is left out). Of a mixture of experts all are counted. A step of training also moves all
weights and the optimizer's state through memory, which takes longer than the arithmetic when documents are short, and
each of its kernels has to be launched, which takes longer still with small models. Activations are those of layers with
gates and norms (Korthikanti et al. 2022, arXiv 2205.05198, section 4), without the scores of attention, which no kernel of
today keeps.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import torch
from torch.nn import Linear

from icl_bench.errors import IclBenchError
from icl_bench.streams import stream
from icl_bench.study.cells import Cell
from icl_bench.study.model import Source
from icl_bench.study.protocol import Reading, cells_of, reading
from icl_bench.study.scoring import CLOSED_BOOK, kinds, load_tasks
from icl_bench.study.settings import Settings
from icl_bench.study.window import lengths
from icl_bench.study.worlds import world


class GPU(NamedTuple):
    """What a device does in practice."""

    flops: float
    """operations a second in bfloat16, 40 % of what the vendor says"""
    bandwidth: float
    """bytes a second, 75 % of what the vendor says"""


GPUS = {"A100": GPU(0.4 * 312e12, 0.75 * 2.0e12), "H100": GPU(0.4 * 989e12, 0.75 * 3.35e12)}
"""With 80 GB."""
_TRAINED_BYTES = 18
"""Of memory for a parameter that is trained: itself, its gradient and two moments in single precision, a copy in half."""
_SCORED_BYTES = 2
"""For each parameter of the model that is scored during training, beside the one that is trained."""
_MOVED_BYTES = 44
"""Through memory in a step for a parameter that is trained: weights thrice in half precision; gradients written, read, and set to
zero; weights and moments read and written by the optimizer; the copy made."""
_CHECKPOINT_BYTES = 12
"""On disk for a parameter that is trained: itself and two moments. Three checkpoints are there for a moment."""
_OVERHEAD = 2e9
"""Bytes of memory for the library, buffers, and a pass of scoring at its smallest."""
_CELL, _STEP, _VALIDATION = 60.0, 0.1, 5.0
"""Seconds that each takes besides: loading, launching kernels, building prompts. Rules of thumb."""
_DISK = 1e9
"""Bytes a second."""
_BATCHES = 50
"""Drawn to know how much padding there is."""


class Shape(NamedTuple):
    """The sizes of a model that count."""

    parameters: int
    matrices: int
    """Parameters that a token is multiplied with: all but the table of embeddings, unless it is used for the output too."""
    layers: int
    hidden: int
    attention: int
    """Width of all heads together."""
    cache: int
    """Bytes that a token takes in the cache of keys and values, in half precision."""
    inner: int
    """Width of the feed-forward layers."""
    adapted: int
    """Parameters of LoRA for each unit of rank."""


class Planned(NamedTuple):
    """What a cell takes."""

    dataset: str
    condition: str
    documents: float
    context: float
    """tokens"""
    examples: int
    steps: int
    trained: float
    """tokens, without padding"""
    scored: float
    """tokens, each distinct one once, validation included"""
    flops: float
    moved: float
    """bytes through memory"""
    memory: float
    """bytes"""
    disk: float
    """bytes, while it is trained"""
    besides: float
    """seconds that are the same on every device"""

    def seconds(self, gpu: GPU) -> float:
        """On a device."""
        return self.flops / gpu.flops + self.moved / gpu.bandwidth + self.besides


def shape_of(source: Source) -> Shape:
    """The sizes of a model, from its configuration: no weight is loaded."""
    from transformers import AutoModelForCausalLM
    from transformers.pytorch_utils import Conv1D

    config = source.config.get_text_config()
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(source.config)
    embedding, output = model.get_input_embeddings().weight, model.get_output_embeddings()
    tied = output is not None and (output.weight is embedding or config.tie_word_embeddings)
    inside = [module.weight.shape for module in model.modules() if isinstance(module, (Linear, Conv1D)) and module is not output]
    heads = getattr(config, "num_attention_heads", None) or 0  # none in a model that is recurrent throughout
    width = getattr(config, "head_dim", None) or (config.hidden_size // heads if heads else 0)
    total = sum({id(parameter): parameter.numel() for parameter in model.parameters()}.values())
    return Shape(
        parameters=total,
        matrices=total - (0 if tied else embedding.numel()),
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        attention=heads * width,
        cache=2 * 2 * config.num_hidden_layers * (getattr(config, "num_key_value_heads", None) or heads) * width,
        inner=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        adapted=sum(map(sum, inside)),
    )


def plan(settings: Settings) -> tuple[Shape, list[Planned]]:
    """What the cells of the first seed take on a GPU that has bfloat16; with other seeds they are alike.

    Raises:
        IclBenchError: what `study` refuses; single precision; augmentation by a model, whose documents nobody can count
            beforehand.
    """
    if settings.precision == "float32":
        raise IclBenchError("--plan is for bfloat16; leave out --precision float32, and expect twice the memory or more")
    if "augmented" in settings.conditions and settings.augmentation.method != "closure":
        raise IclBenchError(
            f"--plan cannot count documents that a model will write (--method {settings.augmentation.method}); "
            "plan with --method closure, or without augmented among the --conditions"
        )
    source = Source(settings.model)
    shape = shape_of(source)
    once = settings.model_copy(update={"seeds": settings.seeds[:1]})
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        planned = []
        for cell in cells_of(once, out):
            read = reading(source, once, cell, out)
            asked = _questions(source, world(out, once, cell.dataset, cell.seed), cell.dataset)
            planned.append(_planned(source, shape, once, cell, read, asked))
    return shape, planned


def _questions(source: Source, folder: Path, dataset: str) -> list[list[int]]:
    """For each kind of question, the tokens of each with its choices."""
    tasks = load_tasks(folder, dataset, list(kinds(folder, dataset)), CLOSED_BOOK)
    found = []
    for task in tasks:
        docs = task.dataset["test"]
        found.append(lengths(source, [" ".join([doc["question"], *doc["choices"]]) for doc in docs]))
    return found


def _planned(
    source: Source,
    shape: Shape,
    settings: Settings,
    cell: Cell,
    read: Reading,
    asked: Sequence[Sequence[int]],
) -> Planned:
    training = settings.training
    questions = sum(map(sum, asked))
    size, texts = read
    shared = cell.condition == "in_context"
    contexts = size.tokens * (1 if shared else sum(map(len, asked)))
    scored = contexts + questions
    looked = size.tokens / 2 * contexts + size.tokens * questions  # pairs of a token and one before it
    steps, trained, padded, longest = 0, 0.0, 0.0, 0
    memory = 2.0 * shape.parameters + shape.cache * size.tokens + _OVERHEAD
    moved = 2.0 * shape.parameters * len(asked)
    disk, besides = 0.0, _CELL
    if texts:
        steps = training.steps_of(cell.dataset, cell.condition)
        each = [length + 1 for length in lengths(source, texts)]
        mean_padded, longest = _padded(each, training.batch_size)
        batch = len(each) / ceil(len(each) / training.batch_size)  # the last one of a pass holds what is left
        trained, padded = steps * batch * mean(each), steps * batch * mean_padded
        limit = training.validation_questions
        validations = ceil(steps / training.validate_every) + 1
        scored += validations * sum(sum(kind[:limit]) for kind in asked)
        new = training.lora_rank * shape.adapted if training.lora else shape.parameters
        frozen = shape.parameters if training.lora else 0
        moved += steps * (_MOVED_BYTES * new + 2 * (2 + training.gradient_checkpointing) * frozen)
        checkpoint = _CHECKPOINT_BYTES * new
        disk = 3.0 * checkpoint
        besides += steps * _STEP + validations * _VALIDATION + steps // training.checkpoint_every * checkpoint / _DISK
        residual = 2 if training.lora else 4  # bytes: it has the precision of the embeddings
        layer = (11 + 2 + 6 * residual) * shape.hidden + 8 * shape.inner  # attention; gates; two norms and their inputs
        kept = residual * shape.hidden if training.gradient_checkpointing else layer
        activations = longest * (shape.layers * kept + layer)
        memory = _TRAINED_BYTES * new + 2 * frozen + _SCORED_BYTES * shape.parameters + activations + _OVERHEAD
    passes = (2 if training.lora else 3) + training.gradient_checkpointing
    flops = 2 * shape.matrices * (scored + passes * padded) + 4 * shape.layers * shape.attention * looked
    return Planned(cell.dataset, cell.condition, *size, len(texts), steps, trained, scored, flops, moved, memory, disk, besides)


def _padded(each: Sequence[int], batch_size: int) -> tuple[float, int]:
    """Tokens of an example with its padding on the average, and of a batch of the longest."""
    draws = stream(0, "plan")
    number = min(batch_size, len(each))
    return mean(max(draws.sample(each, number)) for _ in range(_BATCHES)), max(each) * number


def table(settings: Settings, shape: Shape, planned: Sequence[Planned]) -> str:
    """The plan as Markdown, with the sums over all seeds."""
    seeds = len(settings.seeds)
    columns = ["dataset", "condition", "documents in context", "tokens of these", "examples", "steps", "tokens trained on"]
    columns += ["tokens scored", "PFLOP", "GB", *(f"minutes on {name}" for name in GPUS)]
    lines = [
        f"{settings.model}: {shape.parameters / 1e9:.2f} billion parameters, {_training(settings)}. For each seed:",
        "",
        "| " + " | ".join(columns) + " |",
        "|---" * len(columns) + "|",
    ]
    for row in planned:
        counts = [row.documents, row.context, row.examples, row.steps, row.trained, row.scored]
        cells: list[Any] = [row.dataset, row.condition.replace("_", " "), *(f"{count:,.0f}" if count else "" for count in counts)]
        cells += [f"{row.flops / 1e15:,.1f}", f"{row.memory / 1e9:,.0f}"]
        cells += [f"{row.seconds(gpu) / 60:,.1f}" for gpu in GPUS.values()]
        lines.append("| " + " | ".join(cells) + " |")
    hours = [f"{seeds * sum(row.seconds(gpu) for row in planned) / 3600:.1f} hours of one {name}" for name, gpu in GPUS.items()]
    memory, disk = (max(sizes) / 1e9 for sizes in zip(*((row.memory, row.disk) for row in planned), strict=True))
    lines += ["", f"With {seeds} seed{'s' * (seeds > 1)}: about {' or '.join(hours)}."]
    lines.append(f"Memory of the GPU about {memory:,.0f} GB; disk for checkpoints about {disk:,.0f} GB.")
    return "\n".join(lines) + "\n"


def _training(settings: Settings) -> str:
    training = settings.training
    what = f"LoRA of rank {training.lora_rank}" if training.lora else "all weights trained"
    return f"{what}, batch {training.batch_size}" + ", gradient checkpointing" * training.gradient_checkpointing
