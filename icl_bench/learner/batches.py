"""Sequences as tensors, padded on the right, with the measures of what the model makes of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from icl_bench.learner.text import Tokens


class Batch(NamedTuple):
    """Sequences of one step."""

    ids: Tensor
    """[rows, length]"""
    weights: Tensor
    """[rows, length]: how much each token counts in the loss; 0 for padding"""
    marks: Tensor
    """[number, 4]: row, place, group, and the id of the wrong token or -1"""


def batch(sequences: Sequence[Tokens], pad: int) -> Batch:
    """Put sequences together."""
    length = max(map(len, sequences))
    ids = torch.full((len(sequences), length), pad)
    weights = torch.zeros(len(sequences), length)
    marks: list[tuple[int, int, int, int]] = []
    for row, tokens in enumerate(sequences):
        ids[row, : len(tokens)] = torch.tensor(tokens.ids)
        weights[row, : len(tokens)] = torch.tensor(tokens.weights)
        marks.extend((row, place, group, -1 if rival is None else rival) for place, group, rival in tokens.marks)
    return Batch(ids, weights, torch.tensor(marks, dtype=torch.long).view(-1, 4))


def loss_of(logits: Tensor, of: Batch) -> Tensor:
    """The weighted mean of the cross-entropy of the next token."""
    each = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), of.ids[:, 1:].flatten(), reduction="none")
    weights = of.weights[:, 1:].flatten()
    return (each * weights).sum() / weights.sum()


def measures(logits: Tensor, of: Batch) -> dict[int, float]:
    """For each group the share of its marks where the right token is likelier than the wrong one, or than all others."""
    row, place, group, rival = of.marks.unbind(1)
    found = logits.detach()[row, place - 1].float()
    right = found.gather(1, of.ids[row, place].unsqueeze(1)).squeeze(1)
    wrong = found.gather(1, rival.clamp(min=0).unsqueeze(1)).squeeze(1)
    ok = torch.where(rival >= 0, right > wrong, right >= found.max(1).values)
    shares: dict[int, list[bool]] = defaultdict(list)
    for name, value in zip(group.tolist(), ok.tolist(), strict=True):
        shares[name].append(value)
    return {name: sum(values) / len(values) for name, values in sorted(shares.items())}
