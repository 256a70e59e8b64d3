"""Generation from the cache of what prompts begin with.

lm-eval's `hf` batches the prompts, decodes and post-processes; here each group of prompts that begin alike gets its own
call of it, which starts from the cache of their beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import _add_special_kwargs, has_bos_prefix, normalize_gen_kwargs
from transformers.cache_utils import Cache

from icl_bench.errors import IclBenchError
from icl_bench.scoring.context_cache import branches
from icl_bench.scoring.forward import Machine
from icl_bench.scoring.prefix_tree import Node, PrefixTree
from icl_bench.scoring.shared_attention import shared_attention
from icl_bench.scoring.shared_tokens import Text, Tokens, encode
from icl_bench.scoring.ways import Ways

REMEDY = "give fewer documents (--num_fewshot), or have it cut on the left with allow_truncation=true"
_SHORTEST_STEM = 128
"""Tokens: generating from a cache is not worth it for fewer."""
_OWN_CACHES = (
    "num_beams",
    "num_return_sequences",
    "cache_implementation",
    "prompt_lookup_num_tokens",
    "assistant_model",
    "penalty_alpha",
)
"""Settings of generation that bring caches of their own; left to `hf`."""
_Group = tuple[Node | None, list[int]]
"""Where what some prompts share ends, or None, and their places among all prompts."""


class SharedGeneration(HFLM):  # type: ignore[misc]
    """`hf`, whose generation starts from a cache.

    Args:
        *arguments, **options: those of lm-eval's `HFLM`.
        allow_truncation: cut prompts that are longer than the model's window on the left, as `hf` does.
    """

    def __init__(self, *arguments: Any, allow_truncation: bool = False, **options: Any) -> None:
        if options.get("device") is None:
            options["device"] = "cuda" if torch.cuda.is_available() else "cpu"
        super().__init__(*arguments, **options)
        self.allow_truncation = allow_truncation
        if hasattr(self, "accelerator") and self.world_size == 1:  # lm-eval divides the questions among GPUs only
            self._rank, self._world_size = self.accelerator.process_index, self.accelerator.num_processes
        kind, precision = self.device.type, self.mixed_precision_dtype
        autocast = torch.autocast(kind, dtype=precision, enabled=precision is not None)
        self.ways = Ways(Machine(self.model, self.device, autocast, self.softmax_dtype))
        self._encoded: dict[Text, Tokens] = {}
        self._prefix: tuple[list[int], Cache] | None = None

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """For each (context, options): what the model generates. Contexts that begin alike share what they begin with.

        Raises:
            IclBenchError: a context and what may be generated do not fit the window.
        """
        if self.backend != "causal" or not requests or (self.world_size > 1 and self.batch_size == "auto"):
            return super().generate_until(requests, disable_tqdm=disable_tqdm)  # type: ignore[no-any-return]
        texts = [(request.args[0], "") for request in requests]
        self._encoded = encode(texts, self._encode_prompt, self.tokenizer, self._special_of_prompt)
        inputs, limits = [], []
        for text, request in zip(texts, requests, strict=True):
            tokens = self._encoded[text]
            limit = self.max_length - normalize_gen_kwargs(request.args[1], self.max_gen_toks)["max_gen_toks"]
            if len(tokens) > limit and not self.allow_truncation:
                raise IclBenchError(
                    f"a prompt of {len(tokens):,} tokens leaves no room to generate in the model's window of "
                    f"{self.max_length:,}, {limit:,} for the prompt; {REMEDY}"
                )
            limits.append(limit)
            inputs.append(tokens if len(tokens) <= limit else Tokens([], list(tokens)[-max(1, limit) :]))
        answers: dict[int, str] = {}
        try:
            for node, members in self._stems(inputs):
                samples = [[*inputs[i]] for i in (members[0], members[-1])]
                longest = max(len(inputs[i]) + self.max_length - limits[i] for i in members)
                self._prefix = self._prefill(node, samples, longest) if node else None
                group = [requests[i] for i in members]
                answers |= zip(members, super().generate_until(group, disable_tqdm=disable_tqdm), strict=True)
        finally:
            self._encoded, self._prefix = {}, None
        return [answers[i] for i in range(len(requests))]

    def _stems(self, inputs: Sequence[Tokens]) -> list[_Group]:
        """Groups of prompts with what they begin with, so that as many tokens as possible are shared."""
        tree, ends = tree_of([Tokens(tokens.shared, tokens.own[:-1]) for tokens in inputs])
        for i, end in enumerate(ends):
            end.sequences.append(i)
        best: dict[Node, tuple[int, list[_Group]]] = {}
        for node in reversed(list(tree.root.below())):
            below = [best.pop(child) for child in node.children.values()]
            members = [i for _, groups in below for _, group in groups for i in group] + node.sequences
            apart = sum(saved for saved, _ in below)
            together = (len(members) - 1) * node.end if node.end >= _SHORTEST_STEM else 0
            if together > apart:
                best[node] = together, [(node, members)]
            else:
                alone = [i for _, groups in below for stem, group in groups if stem is None for i in group] + node.sequences
                groups = [group for _, groups in below for group in groups if group[0] is not None]
                best[node] = apart, [*groups, *([(None, alone)] if alone else [])]
        return best[tree.root][1]

    def _prefill(self, stem: Node, samples: Sequence[list[int]], longest: int) -> tuple[list[int], Cache] | None:
        """Compute what a group of prompts begins with, once; None if the model has no cache that can be shared.

        Args:
            stem: where what they share ends.
            samples: two of the prompts, for comparison with a plain forward pass.
            longest: tokens of the longest of all with what is generated.
        """
        if "cache_params" in self.ways.machine.parameters or "expand" not in self.ways.left(longest):
            return None
        tree = PrefixTree()
        for i, end in enumerate([tree.add(tokens[:-1]) for tokens in samples]):
            tree.ask(i, end, samples[i][-1:])
        prefill = self.ways.try_one("expand", "hf", longest, lambda run: run(tree, len(samples)).prefill(Node(stem.path())))
        return (stem.path(), prefill) if prefill else None

    def _model_generate(self, context: torch.Tensor, max_length: int, stop: list[str], **options: Any) -> torch.Tensor:
        """Generate for a batch of prompts padded on the left, from the cache of what they share."""
        mask = options["attention_mask"].bool()
        rows = [row[kept] for row, kept in zip(context, mask, strict=True)]
        shared, cache = self._prefix or ([], None)
        begins = torch.tensor(shared, device=context.device)
        own_ways = any(self._setting(name, options) not in (None, 1) for name in _OWN_CACHES)
        if cache is None or own_ways or not all(torch.equal(row[: len(shared)], begins) for row in rows):
            return super()._model_generate(context=context, max_length=max_length, stop=stop, **options)  # type: ignore[no-any-return]
        width = context.shape[1]
        generated: dict[int, torch.Tensor] = {}
        for length in dict.fromkeys(map(len, rows)):  # padding would come between what is shared and what is not
            members = [i for i, row in enumerate(rows) if len(row) == length]
            ids = torch.stack([rows[i] for i in members])
            with shared_attention(self.ways.machine.plain) as share:
                new_cache = branches(cache, [0] * len(members), share)
                out = super()._model_generate(
                    context=ids,
                    max_length=max_length - width + length,
                    stop=stop,
                    **options | {"attention_mask": torch.ones_like(ids), "past_key_values": new_cache},
                )
            generated |= zip(members, out[:, length:], strict=True)
        new = torch.nn.utils.rnn.pad_sequence(
            [generated[i] for i in range(len(rows))], batch_first=True, padding_value=self.tokenizer.pad_token_id
        )
        return torch.cat([context, new], dim=1)

    def _setting(self, name: str, options: dict[str, Any]) -> Any:
        """Of this call, or else of the model's generation configuration."""
        return options.get(name, getattr(getattr(self.model, "generation_config", None), name, None))

    def _special_of_prompt(self, text: str) -> dict[str, bool]:
        """The arguments with which `tok_batch_encode` calls the tokenizer."""
        if has_bos_prefix(text, getattr(self.tokenizer, "bos_token", None)):
            return {"add_special_tokens": False}
        return _add_special_kwargs(None, self.add_bos_token)  # type: ignore[no-any-return]

    def _encode_prompt(self, text: str) -> list[int]:
        return self.tokenizer(text, **self._special_of_prompt(text))["input_ids"]  # type: ignore[no-any-return]

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **options: Any) -> list[int]:
        """Tokens of a text."""
        if add_special_tokens is None and not options and (string, "") in self._encoded:
            return list(self._encoded[string, ""])
        return super().tok_encode(string, add_special_tokens=add_special_tokens, **options)  # type: ignore[no-any-return]

    def tok_batch_encode(
        self, strings: Sequence[str], padding_side: str = "left", left_truncate_len: int | None = None, **options: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens of texts, padded, and which of them are no padding."""
        if padding_side != "left" or options.get("truncation") or not all((string, "") in self._encoded for string in strings):
            return super().tok_batch_encode(  # type: ignore[no-any-return]
                list(strings), padding_side=padding_side, left_truncate_len=left_truncate_len, **options
            )
        rows = [torch.tensor(list(self._encoded[string, ""])[-(left_truncate_len or 0) :]).flip(0) for string in strings]
        padded = [
            torch.nn.utils.rnn.pad_sequence(each, batch_first=True, padding_value=value).flip(1)
            for each, value in ((rows, self.tokenizer.pad_token_id), ([torch.ones_like(row) for row in rows], 0))
        ]
        return padded[0], padded[1]


def tree_of(inputs: Sequence[Tokens]) -> tuple[PrefixTree, list[Node]]:
    """The tree of some sequences, and where each of them ends in it."""
    tree = PrefixTree()
    shared = {id(tokens.shared): tokens.shared for tokens in inputs}
    stems = {key: tree.add(tokens) for key, tokens in shared.items()}
    return tree, [tree.add(tokens.own, stems[id(tokens.shared)]) for tokens in inputs]
