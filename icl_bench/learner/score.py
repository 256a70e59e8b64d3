"""Score a model on questions as the tasks do: the likeliest choice after documents and question.

    It turns out that jitig are brighter than ugelk.

    ugelk are                                            -> " less bright than jitig." / " brighter than jitig."

Prompts and likelihoods are those of lm-evaluation-harness, without its machinery (`tests/test_learner.py` compares them).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_TOKENS = 4_000
"""Tokens of a batch, with padding."""


def accuracy(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    questions: Iterable[Mapping[str, Any]],
    documents: Sequence[str] = (),
) -> float:
    """The share of questions whose likeliest choice is an answer.

    Args:
        questions: rows with `question`, `choices` and `answer`.
        documents: texts in the context.
    """
    rows = list(questions)
    return share_right(rows, likelihoods(model, tokenizer, rows, documents))


def share_right(rows: Sequence[Mapping[str, Any]], found: Sequence[Sequence[float]], decided: bool = False) -> float:
    """The same, when likelihoods are known; `decided` leaves weaker conclusions out of the choices."""
    hits = 0
    for row, scores in zip(rows, found, strict=True):
        left = [i for i in range(len(scores)) if not (decided and i in row["weaker"])]
        hits += max(left, key=scores.__getitem__) in row["answer"]
    return hits / len(rows)


def likelihoods(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, rows: Sequence[Mapping[str, Any]], documents: Sequence[str] = ()
) -> list[list[float]]:
    """For every question the log-likelihoods of its choices."""
    context = "".join(f"{text}\n\n" for text in documents)
    prompts = [tokenizer(context + row["question"])["input_ids"] for row in rows]
    tried = [
        (prompt, tokenizer(f"{context}{row['question']} {choice}")["input_ids"])
        for prompt, row in zip(prompts, rows, strict=True)
        for choice in row["choices"]
    ]
    scores = iter(_likelihoods(model, tried))
    return [[next(scores) for _ in row["choices"]] for row in rows]


def _likelihoods(model: PreTrainedModel, tried: Sequence[tuple[list[int], list[int]]]) -> list[float]:
    """For every (prompt, prompt with choice) the log-likelihood of the choice. What all begin with is read once."""
    model.eval()
    shared = _shared([whole for _, whole in tried])
    shared = min(shared, min(len(prompt) for prompt, _ in tried) - 1)
    size = max(1, _TOKENS // max(len(whole) - shared for _, whole in tried))
    found: list[float] = []
    with torch.no_grad():
        read = model(input_ids=torch.tensor([tried[0][1][:shared]]), use_cache=True) if shared > 0 else None
        for start in range(0, len(tried), size):
            part = [(prompt[max(shared, 0) :], whole[max(shared, 0) :]) for prompt, whole in tried[start : start + size]]
            length = max(len(whole) for _, whole in part)
            ids = torch.tensor([whole + [0] * (length - len(whole)) for _, whole in part])
            cache = None
            if read is not None:  # one copy for each row; its convolutions know no other way to repeat them
                cache = copy.deepcopy(read.past_key_values)
                cache.reorder_cache(torch.zeros(len(part), dtype=torch.long))
            logits = model(input_ids=ids, past_key_values=cache, use_cache=cache is not None).logits.float()
            each = logits[:, :-1].log_softmax(2).gather(2, ids[:, 1:, None]).squeeze(2)
            for row, (prompt, whole) in enumerate(part):
                found.append(each[row, len(prompt) - 1 : len(whole) - 1].sum().item())
    return found


def _shared(rows: Sequence[list[int]]) -> int:
    """How many tokens all rows begin with."""
    first, last = min(rows), max(rows)
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
