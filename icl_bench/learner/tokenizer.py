"""The tokenizer: whole words for the wordings of the templates, onsets and rimes for invented words, letters for the rest.

    Did you know that jowot are brighter than ugelk.
    ▁did ▁you ▁know ▁that ▁j ##ow ##ot ▁are ▁brighter ▁than ▁ug ##elk .

Text is put in lower case, so that a word is the same at the start of a sentence; all else is kept, and decoding gives it back.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from typing import TYPE_CHECKING

from icl_bench.rendering import templates_folder
from icl_bench.vocabulary import listed_words
from icl_bench.worlds.reversal import FEATURES

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, UNKNOWN = "[PAD]", "[UNK]"
WINDOW = 8192
"""Tokens that the model reads at most."""
_SPACE = "▁"
_FREQUENT = 100
"""A part of words has a token of its own if so many listed words have it."""
_PARTS = re.compile(r"[^aeiou]+|[aeiou]+[^aeiou]*")


def parts(word: str) -> list[str]:
    """A word cut before its vowels.

    >>> parts("jowot"), parts("ugelk")
    (['j', 'ow', 'ot'], ['ug', 'elk'])
    """
    return _PARTS.findall(word)


def template_words() -> list[str]:
    """Every word that the templates of all datasets write themselves, and the comparatives of `reversal`."""
    found = {word for pair in FEATURES.values() for phrase in pair for word in phrase.split()}
    for file in templates_folder().rglob("*"):
        if file.suffix in (".txt", ".yaml"):
            text = re.sub(r"\{\{.*?\}\}", " ", file.read_text(encoding="utf-8").lower())
            found.update(re.findall(r"[a-z]+", text))
    return sorted(found)


def _characters() -> list[str]:
    """Printable ASCII without capitals, and whatever else the templates write."""
    found = set(string.printable.lower()) - set(string.whitespace) | {"\n", _SPACE}
    for file in templates_folder().rglob("*"):
        if file.suffix in (".txt", ".yaml"):
            found.update(file.read_text(encoding="utf-8").lower())
    return sorted(found - {" "})


def entries() -> list[str]:
    """The vocabulary in the order of the ids."""
    first: Counter[str] = Counter()
    later: Counter[str] = Counter()
    for word in listed_words():
        onset, *rimes = parts(word)
        first[onset] += 1
        later.update(rimes)
    letters = list(string.ascii_lowercase)
    starts = [*template_words(), *letters, *(part for part, count in first.items() if count >= _FREQUENT)]
    ends = [*letters, *(part for part, count in later.items() if count >= _FREQUENT)]
    characters = _characters()
    return list(
        dict.fromkeys(
            [
                PAD,
                UNKNOWN,
                "\n\n",
                *characters,
                *(_SPACE + character for character in characters),
                *(f"##{character}" for character in characters),
                *(_SPACE + part for part in starts),
                *(f"##{part}" for part in ends),
            ]
        )
    )


def make_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer, for `transformers`. It adds no token of its own to a text."""
    from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers
    from tokenizers.models import WordPiece
    from transformers import PreTrainedTokenizerFast

    vocabulary = {entry: i for i, entry in enumerate(entries())}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=UNKNOWN, max_input_chars_per_word=100))
    # A space belongs to the word after it, and every line begins with one, so that a word is the same wherever it stands.
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"^(?=[^\n])"), _SPACE),  # ^: the start of every line
            normalizers.Replace(" ", _SPACE),
        ]
    )
    word = Regex(f"\n\n|\n|{_SPACE}?[a-z]+|{_SPACE}?[^a-z{_SPACE}\n]|{_SPACE}")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(word, "isolated")
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("##", ""),
            decoders.Fuse(),
            decoders.Replace(Regex(f"^{_SPACE}"), ""),
            decoders.Replace(_SPACE, " "),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=PAD,
        unk_token=UNKNOWN,
        model_max_length=WINDOW,
        clean_up_tokenization_spaces=False,
    )
