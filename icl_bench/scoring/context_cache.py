"""Key-value caches that are filled once and continued many times.

    prefix      one row: keys and values of the context in one buffer per layer, written in place and cut back
    branches    many rows that continue from a prefix: what they share is kept once, only their own tokens per row

Layers that are not plain attention (short convolutions, state spaces, sliding windows) keep the state that transformers
gives them; branches get copies of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from icl_bench.scoring.shared_attention import share


class BufferLayer(DynamicLayer):  # type: ignore[misc]
    """One row of keys and values in a buffer: a token more is no new copy of all of them, as it is in transformers."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Make room for `self.room` tokens."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys, self.values = (s.new_empty((*s.shape[:-2], self.room, s.shape[-1])) for s in (key_states, value_states))
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Append; gives views of all."""
        end = self.length + key_states.shape[-2]
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        if end > self.room:
            self.room = end
            before = self.prefix()
            self.lazy_initialization(key_states, value_states)
            for buffer, kept in zip((self.keys, self.values), before, strict=True):
                buffer[..., : self.length, :] = kept
        self.keys[..., self.length : end, :] = key_states
        self.values[..., self.length : end, :] = value_states
        self.length = end
        return self.prefix()

    def prefix(self) -> tuple[Tensor, Tensor]:
        """Views of all keys and values."""
        return self.keys[..., : self.length, :], self.values[..., : self.length, :]

    def get_seq_length(self) -> int:
        """Tokens."""
        return self.length


class BranchLayer(DynamicLayer):  # type: ignore[misc]
    """Rows that continue from the same keys and values.

    Args:
        prefix: what they share.
        rows: how many.
        share: leave it to `shared_attention` to add what they share; otherwise there is a copy of it for each row while a
            layer is computed.
    """

    def __init__(self, prefix: BufferLayer, rows: int, share: bool) -> None:
        super().__init__()
        self.shared = prefix.prefix() if prefix.length else None
        self.shared_length = prefix.length
        self.rows = rows
        self._share = share

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Append; gives the shared and the own keys and values of each row."""
        own: tuple[Tensor, Tensor] = super().update(key_states, value_states)
        if self.shared is None:
            return own
        if self._share:
            keys = own[0].view_as(own[0])  # the cache itself is not marked
            share(keys, self.shared)
            return keys, own[1]
        keys, values = (
            torch.cat([shared.expand(self.rows, *shared.shape[1:]), part], dim=-2)
            for shared, part in zip(self.shared, own, strict=True)
        )
        return keys, values

    def get_seq_length(self) -> int:
        """Tokens of a row, shared and own."""
        return self.shared_length + int(super().get_seq_length())

    def select(self, rows: Tensor) -> BranchLayer:
        """A layer with these rows of this one, each as often as it is named."""
        new = copy(self)
        new.rows = len(rows)
        if self.is_initialized:
            new.keys, new.values = (own.index_select(0, rows.to(own.device)) for own in (self.keys, self.values))
        return new


def prefix_cache(config: Any, room: int) -> Cache:
    """An empty cache of one row, with room for so many tokens."""
    cache = DynamicCache(config=config)
    cache.layers = [BufferLayer(room) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def branches(cache: Cache, rows: Sequence[int], share: bool) -> Cache:
    """A cache that continues from these rows of `cache`, which stays as it is. For `share` see `BranchLayer`."""
    new = copy(cache)
    index = torch.tensor(rows, dtype=torch.long)
    new.layers = [_select(layer, index, share) for layer in cache.layers]
    return new


def _select(layer: Any, rows: Tensor, share: bool = False) -> Any:
    if isinstance(layer, BufferLayer):
        return BranchLayer(layer, len(rows), share)
    if isinstance(layer, BranchLayer):
        return layer.select(rows)
    new = copy(layer)
    for name, value in vars(layer).items():
        if isinstance(value, dict):  # states by number
            setattr(new, name, dict(value))
    new.reorder_cache(rows)
    return new


Mark = list[Any]
"""For each layer of a cache its number of tokens, or a copy of it."""


def mark(cache: Cache) -> Mark:
    """Where a prefix ends now, to `rewind` it."""
    first = torch.tensor([0])
    return [layer.length if isinstance(layer, BufferLayer) else _select(layer, first) for layer in cache.layers]


def rewind(cache: Cache, to: Mark) -> None:
    """Take back what was appended to a prefix after `mark`."""
    for i, (layer, state) in enumerate(zip(cache.layers, to, strict=True)):
        if isinstance(layer, BufferLayer):
            layer.length = state
        else:
            cache.layers[i] = _select(state, torch.tensor([0]))
