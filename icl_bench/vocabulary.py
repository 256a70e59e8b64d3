"""Nonsense words for invented worlds: the names of entities, relations and categories.

>>> Vocabulary(seed=0, slot=3).take(4)
['jowot', 'pecir', 'yeken', 'ugelk']

A dataset draws its words from a slot of its own. Two words of one slot are at least two edits (Levenshtein) apart, so
that no single wrong letter turns a word into another; no word is in two slots of a seed. An even and an odd seed share no
word of words.txt, so that neighbouring worlds have nothing in common.

How: a seed gives every letter a code, 1 to 24. One edit adds a code, removes one, or puts one in the place of another,
so that it always changes the sum of a word's codes modulo 25. Slot k therefore holds the words of words.txt (four and
five letters) whose sum is k modulo 25, in random order. When they are used up, words grown from theirs follow: seven
letters, consonants and vowels in turn, the sum k modulo 19.

No word is in a word list of the package wordfreq, in any of its languages, nor is its plural (+s) or its participle
(+ed); none holds an offensive word or is one edit from one. scripts/build_vocabulary.py chooses and checks them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files
from itertools import chain, islice
from math import prod

from icl_bench.errors import IclBenchError
from icl_bench.streams import stream

SLOTS = 16
"""Slots of a seed: 0 to 15."""

CAPACITY = 450_000
"""Words in a slot. The first 3,000 or so have four or five letters, the others seven."""

CONSONANTS = "bcdfghjklmnprstvwyz"
VOWELS = "aeiou"
FINALS = "bcdfgklmnprtvw"
"""The last letters of grown words."""

_GROWN = (VOWELS, CONSONANTS, VOWELS, CONSONANTS, VOWELS, FINALS)  # after the first consonant, which the sum decides
_LONGEST = 5  # letters of a word in words.txt


def _read(name: str) -> list[str]:
    return files("icl_bench").joinpath(name).read_text(encoding="ascii").split()


@cache
def _listed() -> tuple[list[str], list[bytes]]:
    """The words of words.txt, and for each position the letters that they have there (NUL after the end of a word)."""
    words = _read("words.txt")
    text = "".join([word.ljust(_LONGEST, "\0") for word in words]).encode("ascii")
    return words, [text[i::_LONGEST] for i in range(_LONGEST)]


def listed_words() -> list[str]:
    """All words of words.txt, whatever their seed and slot."""
    return list(_listed()[0])


@cache
def _pieces() -> frozenset[str]:
    """The three letters in a row of listed words: a grown word has no others, so it reads like them and is as clean."""
    return frozenset(word[i : i + 3] for word in _listed()[0] for i in range(len(word) - 2))


@cache
def _excluded() -> frozenset[str]:
    """Words that would be grown but exist, as they are or with -s or -ed, or are one edit from an offensive one."""
    return frozenset(_read("words_excluded.txt"))


@lru_cache(maxsize=SLOTS)
def _codes(seed: int) -> dict[str, int]:
    """The code of each letter: 1 to 19 for the consonants, 20 to 24 for the vowels; in the order of the codes."""
    letters = stream(seed, "vocabulary", "codes")
    return {letter: i for i, letter in enumerate(letters.shuffled(CONSONANTS) + letters.shuffled(VOWELS), start=1)}


@lru_cache(maxsize=SLOTS)
def _classes(seed: int) -> bytes:
    """The sum of the codes of each listed word, modulo 25.

    All words are summed at once, in integers that have one byte a word: no sum passes 5 * 24, so none carries over.
    """
    codes = _codes(seed)
    table = bytes(codes.get(chr(i), 0) for i in range(256))
    words, columns = _listed()
    sums = sum(int.from_bytes(column.translate(table), "big") for column in columns)
    return sums.to_bytes(len(words), "big").translate(bytes(i % (len(codes) + 1) for i in range(256)))


def _short(seed: int, slot: int) -> Iterator[str]:
    half = slice(seed % 2, None, 2)  # every other word of the list: neighbouring seeds share none
    pool = [word for word, residue in zip(_listed()[0][half], _classes(seed)[half], strict=True) if residue == slot]
    return (pool[i] for i in stream(seed, "vocabulary", "listed", slot).order(len(pool)))


def _grown(seed: int, slot: int) -> Iterator[str]:
    # Of equal length, words one edit apart differ in one letter: two consonants, or two vowels, whose codes are less
    # than 19 apart, so that the sums modulo 19 differ. Listed words have at most five letters: two edits from seven.
    codes = _codes(seed)
    consonants = list(codes)[: len(CONSONANTS)]
    pieces, excluded = _pieces(), _excluded()
    for number in stream(seed, "vocabulary", "grown", slot).order(prod(map(len, _GROWN))):
        word, total = "", 0
        for letters in _GROWN:
            number, i = divmod(number, len(letters))
            word += letters[i]
            total += codes[letters[i]]
        word = consonants[(slot - total - 1) % len(consonants)] + word
        if all(word[i : i + 3] in pieces for i in range(5)) and word not in excluded and not word.endswith("ed"):
            yield word


class Vocabulary:
    """The words of one slot of a seed, always in the same order."""

    def __init__(self, seed: int, slot: int) -> None:
        """Choose the seed, any integer, and the slot.

        Raises:
            IclBenchError: the slot is not in 0 to 15.
        """
        if not 0 <= slot < SLOTS:
            raise IclBenchError(f"there is no slot {slot} in a vocabulary: choose one from 0 to {SLOTS - 1}")
        self._rest = chain(_short(seed, slot), _grown(seed, slot))
        self._taken: list[str] = []

    def take(self, n: int) -> list[str]:
        """The first n words: `take(n)` begins `take(n + 1)`.

        Raises:
            ValueError: n is negative.
            IclBenchError: n is more than CAPACITY.
        """
        if n < 0:
            raise ValueError(f"cannot take {n} words; ask for 0 or more")
        if n > CAPACITY:
            raise IclBenchError(
                f"a world of this size needs {n} words, the vocabulary of a dataset has at most {CAPACITY}: "
                "make the world smaller"
            )
        self._taken.extend(islice(self._rest, max(0, n - len(self._taken))))
        return self._taken[:n]
