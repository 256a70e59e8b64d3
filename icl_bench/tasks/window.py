"""Prompts against the window of a model: lm-eval cuts what does not fit, and facts vanish silently.

icl_bench_reversal_in_context: its longest prompt has 1,204 tokens, the window of gpt2 1,024; --num_fewshot 83 fits, ...
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate
from typing import Any

from icl_bench.errors import IclBenchError

_API_WINDOW = 2048
"""What lm-eval's models behind an API (`base_url`, `model`) take for their window unless `max_length` is given."""
_LOADING = ("revision", "subfolder", "trust_remote_code", "gguf_file")
"""Model arguments without which a tokenizer may not be found."""


def check_window(
    task: str,
    requests: Sequence[tuple[Any, Any]],
    documents: Sequence[str],
    metadata: Mapping[str, Any],
    remedy: str | None = None,
) -> None:
    """Check that the longest prompt and what follows it fit the model's window, one token of which some models need.

    lm-eval cuts longer prompts on the left with no more than a warning: facts vanish, and it looks like a failure to
    infer. What the model is, a task learns from the metadata, which includes --model_args. Nothing is checked where it
    is unknown (passed as an object; `icl-ngram`, which has no window), where transformers is not installed, or with
    `allow_truncation` in the metadata.

    Args:
        task: its name.
        requests: (context, continuation) of every choice of every question, or (context, generation arguments) of every
            question, `max_gen_toks` of which need room.
        documents: texts of the documents in context.
        remedy: what to do, where it is not that fewer of these documents fit.
        metadata: `pretrained` or `tokenizer` (names that transformers can load), `max_length`, `allow_truncation`.

    Raises:
        IclBenchError: the longest prompt does not fit; the message says how many documents do.
    """
    names = [name for key in ("pretrained", "tokenizer") if isinstance(name := metadata.get(key), str)]
    if metadata.get("allow_truncation") or not names:
        return
    options = tuple((key, metadata[key]) for key in _LOADING if metadata.get(key) is not None)
    loaded = _load(names[0], names[-1], options)
    if loaded is None:
        return
    tokenizer, own_window = loaded
    lengths = (metadata.get(key) for key in ("max_length", "max_model_len", "context_length"))
    cut = all(isinstance(context, str) for context, _ in requests)  # messages are sent as they are
    api_window = _API_WINDOW if cut and {"base_url", "model"} & set(metadata) else None
    window = int(next(filter(None, lengths), api_window or own_window))
    answers = [following for _, following in requests if isinstance(following, Mapping)]
    to_come = max(map(_tokens_to_come, answers), default=0)
    longest = _longest(tokenizer, [(_text(context), "" if answers else following) for context, following in requests])
    if longest + to_come < window:
        return
    if remedy is None:
        each = _token_counts(tokenizer, [f"{text}\n\n" for text in documents])
        room = window - 1 - to_come - (longest - sum(each))
        fitting = sum(total <= room for total in accumulate(each))
        less = f"--num_fewshot {fitting} fits" if fitting else "not one document fits"
        remedy = less if documents else "there are no documents to leave out"
    if to_come:
        remedy += ", or keep less for the answer with max_gen_toks in --gen_kwargs"
    raise IclBenchError(
        f"{task}: its longest prompt has {longest:,} tokens{f' and {to_come:,} are kept for the answer' if to_come else ''}, "
        f"the window of {names[0]} {window:,}; {remedy}, or have it cut with allow_truncation=true in --metadata"
    )


def _tokens_to_come(generation: Mapping[str, Any]) -> int:
    """How many tokens may be generated, by whatever name lm-eval knows for it."""
    from lm_eval.models.utils import normalize_gen_kwargs

    return int(normalize_gen_kwargs(dict(generation))["max_gen_toks"])


def _text(context: Any) -> str:
    """A prompt as text, without what a chat template behind an API adds to its messages."""
    if isinstance(context, str):
        return context
    messages = json.loads(context.prompt) if hasattr(context, "prompt") else context
    return "\n".join(message["content"] for message in messages)


@cache
def _load(model: str, tokenizer: str, options: tuple[tuple[str, Any], ...]) -> tuple[Any, int] | None:
    """The tokenizer and the window, the latter by the rule of lm-eval's `hf` models."""
    try:
        from lm_eval.models.utils import resolve_max_length
        from transformers import AutoConfig, AutoTokenizer
    except ImportError:
        return None
    try:
        loaded = AutoTokenizer.from_pretrained(tokenizer, **dict(options))
        config = AutoConfig.from_pretrained(model, **dict(options))
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        logging.getLogger(__name__).warning("prompts are not checked against the window of the model: %s", reason)
        return None
    return loaded, resolve_max_length(config, loaded)


def _token_counts(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]] if texts else []


def _longest(tokenizer: Any, prompts: Sequence[tuple[str, str]]) -> int:
    """Tokens of the longest prompt with its choice. What all prompts begin with is not counted for each of them."""
    contexts = {context for context, _ in prompts}
    first, last = min(contexts), max(contexts)
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    start = first.rfind("\n", 0, shared) + 1
    counts = _token_counts(tokenizer, [context[start:] + continuation for context, continuation in prompts])
    return len(tokenizer("".join(prompts[counts.index(max(counts))]))["input_ids"])
