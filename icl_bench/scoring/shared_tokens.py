"""Tokens of texts that begin alike, with what they share tokenised once.

Tokenising 40,000 tokens for each of 2,000 choices takes minutes. Here the shared text is tokenised once, and for each
text only its end, from some tokens before the place where texts part:

    shared text     t1 t2 ... t900 | t901 ... t964          (the bar: `_OVERLAP` tokens from the end)
    one text                         u1 ... u12 t933 ... t960 v1 v2 v3
    its tokens      t1 t2 ... t932              t933 ... t960 v1 v2 v3

The end is joined where `_WINDOW` tokens in a row, with their places in the text, are the same in both. So nothing is
assumed about the tokenizer: not that it splits at spaces, nor that it leaves the place where texts part alone. Where no
such window is found, a text is tokenised whole; some texts of each group are tokenised whole in any case, and on the
first difference all are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_SHORTEST = 1024
"""Characters: sharing less is not worth it."""
_OVERLAP = 64
_WINDOW = 8
_SAMPLE = 4
"""Texts of a large group that are tokenised whole as well."""

Text = tuple[str, str]
"""A context and what follows it, which is scored or empty."""
_Placed = tuple[int, tuple[int, int]]
"""A token and where it stands in the text: first character, character after the last."""


@dataclass(frozen=True)
class Tokens:
    """The tokens of a text, the first of which it may share with others."""

    shared: list[int]
    """The same object in all texts that share it; otherwise empty."""
    own: list[int]

    def __len__(self) -> int:
        return len(self.shared) + len(self.own)

    def __iter__(self) -> Iterator[int]:
        yield from self.shared
        yield from self.own


def shared_beginnings(texts: Iterable[str]) -> dict[str, list[str]]:
    """Groups of texts that begin alike, by what they begin with; short texts are in none."""
    groups: dict[str, list[str]] = {}
    beginning, members = "", list[str]()
    for text in [*sorted(set(texts)), ""]:
        common = _common(beginning, text)
        if common >= (_SHORTEST if len(members) == 1 else max(_SHORTEST, len(beginning) // 2)):
            beginning = beginning[:common]
            members.append(text)
            continue
        if len(beginning) >= _SHORTEST:
            groups[beginning] = members
        beginning, members = text, [text]
    return groups


def _common(first: str, second: str) -> int:
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first.startswith(second[low:middle], low):
            low = middle
        else:
            high = middle - 1
    return low


def encode(
    texts: Iterable[Text], whole: Callable[[str], list[int]], tokenizer: Any, special: Callable[[str], dict[str, bool]]
) -> dict[Text, Tokens]:
    """The tokens of each text, exactly those that `whole` gives.

    Args:
        texts: (context, what follows it).
        whole: tokenises one text from beginning to end.
        tokenizer: of transformers. Without places of tokens (a "slow" one), all texts are tokenised by `whole`.
        special: the arguments with which `whole` calls the tokenizer.
    """
    by_context: dict[str, list[Text]] = {}
    for text in dict.fromkeys(texts):
        by_context.setdefault(text[0], []).append(text)
    encoded: dict[Text, Tokens] = {}
    groups = shared_beginnings(by_context) if getattr(tokenizer, "is_fast", False) else {}
    for beginning, contexts in groups.items():
        group = [text for context in contexts for text in by_context[context]]
        joined = _join(beginning, group, tokenizer, special(beginning))
        sample = min(_SAMPLE, 2 + len(group) // 100)
        for text in group[:: -max(1, len(group) // sample)]:
            if text in joined and list(joined[text]) != whole("".join(text)):
                logging.getLogger(__name__).warning(
                    "the tokens of a shared context depend on what follows it: every prompt is tokenised whole"
                )
                return {text: Tokens([], whole("".join(text))) for texts in by_context.values() for text in texts}
        encoded |= joined
    left = (text for texts in by_context.values() for text in texts if text not in encoded)
    return encoded | {text: Tokens([], whole("".join(text))) for text in left}


def _join(beginning: str, texts: Sequence[Text], tokenizer: Any, special: Mapping[str, bool]) -> dict[Text, Tokens]:
    """Tokens of the texts for whose end a place to join it was found."""
    shared = _placed(tokenizer, [beginning], special)[0]
    cut = len(shared) - _OVERLAP // 2
    if cut < _OVERLAP:
        return {}
    window = shared[cut - _WINDOW : cut]
    start = shared[len(shared) - _OVERLAP][1][0]
    before = [token for token, _ in shared[:cut]]
    joined = {}
    ends = _placed(tokenizer, [context[start:] + rest for context, rest in texts], special)
    for text, end in zip(texts, ends, strict=True):
        moved = [(token, (first + start, last + start)) for token, (first, last) in end]
        place = next((i for i in range(_WINDOW, len(moved) + 1) if moved[i - _WINDOW : i] == window), None)
        if place is not None:
            joined[text] = Tokens(before, [token for token, _ in moved[place:]])
    return joined


def _placed(tokenizer: Any, texts: Sequence[str], special: Mapping[str, bool]) -> list[list[_Placed]]:
    encoding = tokenizer(list(texts), return_offsets_mapping=True, return_attention_mask=False, **special)
    pairs = zip(encoding["input_ids"], encoding["offset_mapping"], strict=True)
    return [[(token, tuple(place)) for token, place in zip(ids, places, strict=True)] for ids, places in pairs]
