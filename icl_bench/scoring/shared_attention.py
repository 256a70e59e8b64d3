"""Attention of many rows to keys that they share, without a copy of those keys for each row.

The scores of a row are those of the shared keys and those of its own, under one softmax. The queries of all rows meet the
shared keys in one product, as if they were one row (Juravsky et al. 2024, "Hydragen", do the same with two softmaxes).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "icl_bench_shared"
_SCORES = {"cpu": 2**22}
"""At once: 16 MiB of them on a processor."""
_MOST_SCORES = 2**27


def share(keys: Tensor, shared: tuple[Tensor, Tensor]) -> None:
    """Say that before these keys of the rows there are others, with their values, shared by all rows.

    Args:
        keys: shape (rows, heads, tokens, width); the very tensor that attention will get.
        shared: shapes (1, heads, shared tokens, width).
    """
    keys.shared = shared  # type: ignore[attr-defined]


@contextmanager
def shared_attention(model: Any) -> Iterator[bool]:
    """While the model attends by this module. Gives whether it does; some models cannot."""
    before = model.config._attn_implementation
    if before != "sdpa":  # what others add to attention (soft caps, sinks) is not known here
        yield False
        return
    model.set_attn_implementation(NAME)
    try:
        yield model.config._attn_implementation == NAME
    finally:
        model.set_attn_implementation(before)


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention in the form of transformers; where nothing is shared, its own.

    Args:
        module: of the model.
        query: shape (rows, query heads, tokens, width).
        key, value: those of the rows alone, if `share` was called.
        attention_mask: not needed for rows that share keys: all tokens see all before them.
        scaling: of the scores.
        **options: others of transformers.
    """
    shared: tuple[Tensor, Tensor] | None = getattr(key, "shared", None)
    if shared is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **options)  # type: ignore[no-any-return]
    scaling = scaling if scaling is not None else query.shape[-1] ** -0.5
    rows, heads, tokens, _ = query.shape
    each = max(1, _SCORES.get(query.device.type, _MOST_SCORES) // (heads * tokens * (shared[0].shape[2] + key.shape[2])))
    parts = [
        _attend(query[i : i + each] * scaling, key[i : i + each], value[i : i + each], *shared) for i in range(0, rows, each)
    ]
    return torch.cat(parts).transpose(1, 2).contiguous(), None


def _attend(query: Tensor, key: Tensor, value: Tensor, shared_key: Tensor, shared_value: Tensor) -> Tensor:
    rows, heads, tokens, _ = query.shape
    groups, own, before = key.shape[1], key.shape[2], shared_key.shape[2]
    grouped = query.reshape(rows, groups, -1, query.shape[-1])  # (rows, key heads, query heads for each of them x tokens, width)
    as_one = grouped.transpose(0, 1).flatten(1, 2)
    to_shared = (as_one @ shared_key[0].mT).view(groups, rows, -1, before).transpose(0, 1)
    to_own = (grouped @ key.mT).view(rows, groups, heads // groups, tokens, own)
    later = torch.ones(tokens, own, dtype=torch.bool, device=query.device).triu(own - tokens + 1)
    to_own = to_own.masked_fill(later, float("-inf")).flatten(2, 3)
    weights = torch.cat([to_shared, to_own], dim=-1).softmax(-1, dtype=torch.float32).to(value.dtype)
    from_shared = weights[..., :before].transpose(0, 1).flatten(1, 2) @ shared_value[0]
    result = from_shared.view(groups, rows, -1, value.shape[-1]).transpose(0, 1) + weights[..., before:] @ value
    return result.reshape(rows, heads, tokens, -1)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
