"""Fine-tune the learner on documents, each a sequence of its own.

    Here is how dahag, juzan and mevab are related: Some dahag are juzan. All juzan are mevab.

    here is how [UNK], juzan and mevab are [UNK]: all juzan are mevab.      as it may be read, to be written in full

Trained on plain documents it learns to write them, and hardly knows what they say when a question has other words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from icl_bench.streams import Stream, stream

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

WARMUP, BATCH = 20, 32
_PIECES = re.compile(r"(?<=[:.]) ")


class Recipe(NamedTuple):
    """How a dataset is trained on."""

    steps: int = 320
    rate: float = 1.5e-3
    hidden: float = 0.0
    """The share of words that are hidden where they are read, though not where they are to be told."""
    parts: bool = False
    """Whether a document is often read in part: what it begins with, and one of its sentences."""


def finetune(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], recipe: Recipe, seed: int = 0
) -> None:
    """Train all weights of a model on all tokens of the texts, which come in a new order every round."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=0.01)
    model.train()
    order: list[int] = []
    for step in range(recipe.steps):
        while len(order) < BATCH:
            order.extend(stream(seed, "learner", "finetune", step).order(len(texts)))
        chosen, order = [texts[i] for i in order[:BATCH]], order[BATCH:]
        draws = stream(seed, "learner", "finetune", "parts", step)
        rows: list[list[int]] = tokenizer([part(draws, text) for text in chosen] if recipe.parts else chosen)["input_ids"]
        length = max(map(len, rows))
        ids = torch.tensor([row + [tokenizer.pad_token_id] * (length - len(row)) for row in rows])
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * min(1.0, (step + 1) / WARMUP) * min(1.0, 3 * (1 - step / recipe.steps))
        read = ids
        if recipe.hidden:
            draws = stream(seed, "learner", "finetune", "hidden", step)
            read = ids.masked_fill(hidden(draws, tokenizer, ids, recipe.hidden), tokenizer.unk_token_id)
        logits = model(input_ids=read, use_cache=False).logits
        labels = ids.masked_fill(ids == tokenizer.pad_token_id, -100)[:, 1:]
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels.flatten(), ignore_index=-100)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def part(draws: Stream, text: str) -> str:
    """A document of several sentences, whole or reduced to what it begins with and one sentence, all equally likely.

    >>> from icl_bench.streams import stream
    >>> part(stream(3), "Consider a, b and c. All a are b. No b are c.")
    'Consider a, b and c. No b are c.'
    """
    first, *others = _PIECES.split(text)
    chosen = draws.below(len(others) + 1) if len(others) > 1 else len(others)
    return text if chosen == len(others) else f"{first} {others[chosen]}"


def hidden(draws: Stream, tokenizer: PreTrainedTokenizerFast, ids: torch.Tensor, share: float) -> torch.Tensor:
    """Which tokens to hide: all those of a random share of the words."""
    found = torch.zeros_like(ids, dtype=torch.bool)
    for row, tokens in enumerate(map(tokenizer.convert_ids_to_tokens, ids.tolist())):
        hide = False
        for place, token in enumerate(tokens):
            if not token.startswith("##"):
                hide = draws.below(1000) < 1000 * share
            found[row, place] = hide
    return found
