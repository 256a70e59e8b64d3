"""Fine-tune the learner on documents, each a sequence of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from icl_bench.streams import stream

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

RATE, WARMUP, BATCH = 1.5e-3, 20, 32


def finetune(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], steps: int, seed: int = 0) -> None:
    """Train all weights of a model on all tokens of the texts, which come in a new order every round."""
    encoded = [tokenizer(text)["input_ids"] for text in texts]
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    model.train()
    order: list[int] = []
    for step in range(steps):
        while len(order) < BATCH:
            order.extend(stream(seed, "learner", "finetune", step).order(len(encoded)))
        rows, order = [encoded[i] for i in order[:BATCH]], order[BATCH:]
        length = max(map(len, rows))
        ids = torch.tensor([row + [tokenizer.pad_token_id] * (length - len(row)) for row in rows])
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARMUP) * min(1.0, 3 * (1 - step / steps))
        logits = model(input_ids=ids, use_cache=False).logits
        labels = ids.masked_fill(ids == tokenizer.pad_token_id, -100)[:, 1:]
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels.flatten(), ignore_index=-100)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
