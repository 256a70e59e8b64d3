"""`icl-ngram`: an n-gram model that learns from its context, for lm-eval, without torch.

    --model icl-ngram                                       knows nothing but its context
    --model icl-ngram --model_args train=reversal,seed=7    "fine-tuned" on the training documents as well

It is the floor of the benchmark: it repeats what is stated in the direction in which it is stated ("femp are more
dangerous than" -> "glon") and infers nothing. A benchmark that it passes in the other direction leaks.

Tokens are words, punctuation marks and line ends, in lower case, so that "Glon" at the start of a sentence is "glon".
Their probability is interpolated Witten-Bell (Witten and Bell 1991, as in Chen and Goodman 1999): with history
h, c(h) tokens and t(h) different ones after it, and h' the history without its oldest token,

    P(w | h) = (c(h, w) + t(h) P(w | h')) / (c(h) + t(h))

down to the uniform distribution over `VOCABULARY` words, so that no word is impossible. The counts are those of the
training documents and of the context together (a cache model; Kuhn and De Mori 1990).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import log
from typing import Any, TypeVar

import lm_eval.models  # noqa: F401  # registers lm-eval's own models, which it does only while there are none
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from icl_bench.errors import IclBenchError

T = TypeVar("T")
VOCABULARY = 2**20
"""Words there might be: the probability of a word never seen, before any other is, is one in so many."""
_TOKEN = re.compile(r"\w+|[^\w\s]|\n")
_OF_HARNESS = {"batch_size", "max_batch_size", "device"}


def tokenize(text: str) -> list[str]:
    """Words, punctuation marks and line ends in lower case.

    >>> tokenize("Glon are rony.")
    ['glon', 'are', 'rony', '.']
    """
    return _TOKEN.findall(text.lower())


class Counts:
    """How often each token follows each history of up to `order - 1` tokens."""

    def __init__(self, order: int) -> None:
        self.order = order
        self._followers: dict[tuple[str, ...], dict[str, int]] = {}
        self._totals: dict[tuple[str, ...], int] = {}

    def add(self, tokens: Sequence[str], start: int = 0) -> None:
        """Count the tokens from `start` on; those before it are history."""
        for history, token in self._grams(tokens, start):
            followers = self._followers.setdefault(history, {})
            followers[token] = followers.get(token, 0) + 1
            self._totals[history] = self._totals.get(history, 0) + 1

    def remove(self, tokens: Sequence[str], start: int = 0) -> None:
        """Undo `add` with the same arguments."""
        for history, token in self._grams(tokens, start):
            followers = self._followers[history]
            self._totals[history] -= 1
            followers[token] -= 1
            if not followers[token]:
                del followers[token]
                if not followers:
                    del self._followers[history], self._totals[history]

    @contextmanager
    def including(self, tokens: Sequence[str], start: int = 0) -> Iterator[None]:
        """With these tokens counted for the time being."""
        self.add(tokens, start)
        try:
            yield
        finally:
            self.remove(tokens, start)

    def _grams(self, tokens: Sequence[str], start: int) -> Iterator[tuple[tuple[str, ...], str]]:
        for i in range(start, len(tokens)):
            for first in range(max(0, i - self.order + 1), i + 1):
                yield tuple(tokens[first:i]), tokens[i]

    def history(self, tokens: Sequence[str]) -> tuple[str, ...]:
        """What of these tokens the next one depends on."""
        return tuple(tokens[max(0, len(tokens) - self.order + 1) :])

    def probability(self, token: str, history: tuple[str, ...]) -> float:
        """P(token | history)."""
        p = 1 / VOCABULARY
        for first in range(len(history), -1, -1):
            seen = history[first:]
            followers = self._followers.get(seen)
            if followers is None:
                break  # a longer history was not seen either
            types = len(followers)
            p = (followers.get(token, 0) + types * p) / (self._totals[seen] + types)
        return p

    def candidates(self, history: tuple[str, ...]) -> Iterator[str]:
        """One of these is the likeliest: what follows histories of a token or more, then the most frequent token."""
        for first in range(len(history)):
            yield from self._followers.get(history[first:], ())
        if everywhere := self._followers.get(()):
            yield max(everywhere, key=everywhere.__getitem__)

    def is_greedy(self, token: str, history: tuple[str, ...]) -> bool:
        """Has the token been seen, and is no other likelier?"""
        if token not in self._followers.get((), {}):
            return False
        p = self.probability(token, history)
        return all(self.probability(other, history) <= p for other in self.candidates(history))


@register_model("icl-ngram")
class NGramLM(LM):  # type: ignore[misc]
    """See the module. Documents that many requests share are counted once for all of them.

    A context ends at a word boundary: its last word and the first of a continuation are never one token.

    Args:
        train: a dataset whose training documents are counted, such as `reversal`. None: nothing is known beforehand.
        seed, path, config: which version of it, as in the metadata of the tasks (lm-eval hands them to the tasks too).
        order: tokens in an n-gram.
        **others: `batch_size`, `max_batch_size` and `device`, which lm-eval passes to every model; they change nothing.

    Raises:
        IclBenchError: an unknown argument, dataset or field, or an order below 1.
    """

    def __init__(
        self,
        train: str | None = None,
        order: int = 3,
        seed: int | None = None,
        path: str | None = None,
        config: Mapping[str, Any] | None = None,
        **others: object,
    ) -> None:
        super().__init__()
        if unknown := sorted(set(others) - _OF_HARNESS):
            raise IclBenchError(f"icl-ngram has no argument {unknown[0]!r}; it has train, order, seed, path, config")
        if not isinstance(order, int) or order < 1:
            raise IclBenchError(f"icl-ngram: order = {order!r}; give a positive integer such as 3")
        self._counts = Counts(order)
        if train is not None:
            from icl_bench.tasks.data import tables

            for text in tables(train, seed, path, config)["train"]["text"]:
                self._counts.add(tokenize(f"{text}\n\n"))

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """For each (context, continuation): its log-probability in nats, and whether it is the greedy one."""
        return self._in_contexts(requests, self._score)

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """For each (text,): its log-probability in nats without context."""
        return [self._score((), text)[0] for (text,) in (request.args for request in requests)]

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """For each (context, options): the likeliest next token again and again, until one of `until` comes up."""
        return self._in_contexts(requests, self._generate)

    def _in_contexts(self, requests: Sequence[Instance], answer: Callable[[tuple[str, ...], Any], T]) -> list[T]:
        """`answer(history, second argument)` for each request, with its context counted."""
        answers: dict[int, T] = {}
        for documents, questions in _grouped(requests).items():
            shared = tokenize(documents)
            with self._counts.including(shared):
                for question, indices in questions.items():
                    tokens = [*self._counts.history(shared), *tokenize(question)]
                    with self._counts.including(tokens, start=len(self._counts.history(shared))):
                        history = self._counts.history(tokens)
                        for i in indices:
                            answers[i] = answer(history, requests[i].args[1])
        return [answers[i] for i in range(len(requests))]

    def _score(self, history: tuple[str, ...], text: str) -> tuple[float, bool]:
        total, greedy = 0.0, True
        for token in tokenize(text):
            total += log(self._counts.probability(token, history))
            greedy = greedy and self._counts.is_greedy(token, history)
            history = self._counts.history((*history, token))
        return total, greedy

    def _generate(self, history: tuple[str, ...], options: Mapping[str, Any]) -> str:
        until = options.get("until") or []
        stops = [until] if isinstance(until, str) else until
        text = ""
        for _ in range(int(options.get("max_gen_toks", 32))):
            candidates = self._counts.candidates(history)
            token = max(candidates, key=lambda word: self._counts.probability(word, history), default=None)
            if token is None:
                break
            text += token if not token[0].isalnum() else f" {token}"
            if found := [place for stop in stops if (place := text.find(stop)) >= 0]:
                return text[: min(found)]
            history = self._counts.history((*history, token))
        return text


def _grouped(requests: Sequence[Instance]) -> dict[str, dict[str, list[int]]]:
    """Documents (all up to the last empty line) -> question -> places of its requests."""
    groups: dict[str, dict[str, list[int]]] = {}
    for i, request in enumerate(requests):
        context = request.args[0]
        start = context.rfind("\n\n") + 2 if "\n\n" in context else 0
        groups.setdefault(context[:start], {}).setdefault(context[start:], []).append(i)
    return groups
