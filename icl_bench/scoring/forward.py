"""Forward passes of a causal model over its cache: what they cost, how many tokens fit, which strategy the model allows."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import psutil
import torch
from torch import Tensor
from transformers.cache_utils import Cache, DummyLayer, DynamicCache, DynamicLayer

from icl_bench.scoring.context_cache import prefix_cache

_MASKED_ATTENTION = {"eager", "sdpa"}
"""Implementations that take any 4-D mask; flash attention takes none."""
_LENGTH_DEPENDENT = {"dynamic", "longrope"}
"""Kinds of rotary embedding for which a key depends on the length of the whole sequence."""
_STATELESS = {"full_attention", "sliding_attention", "chunked_attention", "conv"}
"""Kinds of layers without a recurrent state."""
_SHARE = 0.5
"""Of the free memory that a pass may take by our estimate."""


class Machine:
    """A model and the ways to call it.

    Args:
        model: of transformers, or peft's wrapper of one.
        device: where the tokens go.
        autocast: makes the context in which the model runs.
        softmax_dtype: of the log-probabilities; None: float32, or more precise if the logits are.
    """

    def __init__(
        self, model: Any, device: torch.device, autocast: AbstractContextManager[Any], softmax_dtype: torch.dtype | None
    ) -> None:
        self.model, self.device, self._autocast, self._softmax_dtype = model, device, autocast, softmax_dtype
        self.plain = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.config = self.plain.config.get_text_config(decoder=True)
        self.parameters = set(inspect.signature(self.plain.forward).parameters)
        reduced = getattr(autocast, "fast_dtype", None) if getattr(autocast, "_enabled", False) else None
        self.bits = min(torch.finfo(dtype).bits for dtype in (self.plain.dtype, reduced or self.plain.dtype))
        """Of the precision in which the model computes."""
        self.computed = 0
        """Tokens that went through the model."""

    def strategies(self, longest: int) -> list[str]:
        """What the configuration of the model allows for sequences of up to `longest` tokens, best first.

        `pack`: attention to everything before is all that mixes positions. `expand`: the state of some layer is made
        step by step, or the attention takes no mask. `expand token by token`: and nothing else is sure to continue such a
        state. None of them: there is no cache that could be continued.
        """
        if getattr(getattr(self.model, "active_peft_config", None), "is_prompt_learning", False):
            return []  # the adapter puts its own cache or tokens before everything it is given
        if not self.parameters & {"past_key_values", "cache_params"} or not self._keys_are_fixed(longest):
            return []
        layers = DynamicCache(config=self.config).layers
        attention_only = all(type(layer) in (DynamicLayer, DummyLayer) for layer in layers)
        local = getattr(self.config, "attention_types", None)  # GPT-Neo: some layers are local, and count places themselves
        masks = getattr(self.config, "_attn_implementation", None) in _MASKED_ATTENTION and not local
        can_pack = attention_only and masks and {"past_key_values", "position_ids", "attention_mask"} <= self.parameters
        # of a recurrent state the wrong continuation is too near the right one for a comparison in half precision
        recurrent = not attention_only and not set(getattr(self.config, "layer_types", None) or ["mamba"]) <= _STATELESS
        at_once = ["expand"] if self.bits >= 32 or not recurrent else []
        return [*(["pack"] if can_pack else []), *at_once, *(["expand token by token"] if not attention_only else [])]

    def _keys_are_fixed(self, longest: int) -> bool:
        rope: dict[str, Any] = getattr(self.config, "rope_parameters", None) or {}
        kinds = {kind.get("rope_type") for kind in (rope, *rope.values()) if isinstance(kind, dict)}
        if not kinds & _LENGTH_DEPENDENT:
            return True
        name = "original_max_position_embeddings"
        return longest <= int(rope.get(name) or getattr(self.config, name, None) or self.config.max_position_embeddings)

    def cache(self, room: int) -> Cache:
        """An empty cache of one row."""
        return prefix_cache(self.config, room)

    def logits(
        self,
        tokens: Sequence[Sequence[int]],
        places: Sequence[int],
        cache: Cache | None = None,
        mask: Tensor | None = None,
        positions: Sequence[int] | None = None,
    ) -> Tensor:
        """Logits that predict what follows.

        Args:
            tokens: rows of the same length.
            places: where in the rows logits are needed.
            cache: what stands before the tokens; they are appended to it.
            mask: which keys (those of the cache, then the tokens) a token sees; shape (tokens, keys). None: all before.
            positions: of the tokens of a row; None: they follow the cache.

        Returns:
            shape (rows, places, vocabulary).
        """
        options: dict[str, Any] = {"use_cache": cache is not None}
        if cache is not None:
            options["cache_params" if "cache_params" in self.parameters else "past_key_values"] = cache
        if mask is not None:
            options["attention_mask"] = self._as_the_model_takes_it(mask)
        if positions is not None:
            options["position_ids"] = torch.tensor([positions], device=self.device)
        kept = torch.tensor(places)
        if selects := "logits_to_keep" in self.parameters:
            options["logits_to_keep"] = kept
        ids = torch.tensor(tokens, device=self.device)
        self.computed += ids.numel()
        with torch.no_grad(), self._autocast:
            logits: Tensor = self.model(input_ids=ids, **options).logits
        return logits if selects else logits[:, kept.to(logits.device)]

    def _as_the_model_takes_it(self, mask: Tensor) -> Tensor:
        if self.config._attn_implementation == "sdpa":
            return mask[None, None]
        dtype = self.plain.dtype
        hidden = torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)
        return hidden[None, None]

    def log_probabilities(self, logits: Tensor, asked: Sequence[tuple[int, int]]) -> list[tuple[float, bool]]:
        """For each (row, token): the log-probability of the token, and whether it is the likeliest.

        Args:
            logits: shape (rows, vocabulary).
            asked: rows and tokens.
        """
        dtype = self._softmax_dtype or torch.promote_types(logits.dtype, torch.float32)
        step = max(1, 2**24 // logits.shape[-1])
        total = torch.cat([part.to(dtype).logsumexp(-1) for part in torch.split(logits, step)])
        best = torch.cat([part.argmax(-1) for part in torch.split(logits, step)])
        rows, tokens = torch.tensor(list(asked), device=logits.device).T
        return list(zip((logits[rows, tokens].to(dtype) - total[rows]).tolist(), (best[rows] == tokens).tolist(), strict=True))

    def fitting(self, context: int, most: int) -> int:
        """How many tokens behind a context fit into the free memory in one pass, at most `most`, by a rough estimate."""
        config, size = self.config, self.plain.dtype.itemsize
        heads = getattr(config, "num_attention_heads", 1) or 1
        hidden = config.hidden_size
        inner = getattr(config, "intermediate_size", None) or 4 * hidden
        inner = max(inner) if isinstance(inner, list | tuple) else inner
        mask = (context + most) * (1 + size + (2 * heads * (size + 4) if config._attn_implementation == "eager" else 0))
        token = size * (12 * hidden + 3 * inner + 2 * hidden * config.num_hidden_layers) + config.vocab_size * (size + 4)
        return max(1, min(most, int(_SHARE * self._free() / (token + mask))))

    def fitting_rows(self, context: int, most: int) -> int:
        """How many rows that continue from a context fit into the free memory, at most `most`, by a rough estimate."""
        config, size = self.config, self.plain.dtype.itemsize
        layers = DynamicCache(config=config).layers
        copies = 2 + sum(type(layer) not in (DynamicLayer, DummyLayer) for layer in layers)
        window = min(context, getattr(config, "sliding_window", None) or context)
        copied = copies * window + (2 * context if config._attn_implementation == "eager" else 0)
        row = 2 * size * config.hidden_size * copied + config.vocab_size * (size + 4)
        return max(1, min(most, int(_SHARE * self._free() / row)))

    def _free(self) -> int:
        if self.device.type == "cuda":
            reusable = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
            return int(torch.cuda.mem_get_info(self.device)[0] + reusable)
        return int(psutil.virtual_memory().available)
