"""The words that the worlds are made of: what they look like, how far apart they are, and which come first."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from itertools import combinations, pairwise
from string import ascii_lowercase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wordfreq import available_languages, get_frequency_list

from icl_bench.vocabulary import CAPACITY, SLOTS, Vocabulary

SEEDS = st.integers(0, 2**63)
SLOT_NUMBERS = st.integers(0, SLOTS - 1)
PAST_THE_LIST = 5_000  # words: the short ones of any slot and thousands of grown ones


@cache
def listed() -> list[str]:
    return files("icl_bench").joinpath("words.txt").read_text(encoding="ascii").split("\n")[:-1]


@cache
def grown() -> list[str]:
    """A good thousand grown words of each of four slots."""
    return [word for i in range(4) for word in Vocabulary(seed=i, slot=5 * i).take(PAST_THE_LIST) if len(word) == 7]


def known(words: set[str]) -> set[str]:
    """Those of the words that are in any list of wordfreq."""
    found: set[str] = set()
    for size in ("large", "small"):
        for language in available_languages(size):
            found.update(*(words.intersection(level) for level in get_frequency_list(language, size)))
            get_frequency_list.cache_clear()  # together the lists take a gigabyte
    return found


def distance(a: str, b: str) -> int:
    """Levenshtein distance, by the table."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        above, row = row, [i]
        for j, y in enumerate(b, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


def neighbours(word: str) -> Iterator[str]:
    """Every string of letters one edit from the word, and the word itself."""
    for i in range(len(word) + 1):
        yield word[:i] + word[i + 1 :]
        for letter in ascii_lowercase:
            yield word[:i] + letter + word[i:]
            yield word[:i] + letter + word[i + 1 :]


def close_pairs(words: Iterable[str]) -> set[tuple[str, str]]:
    """The pairs of words that are less than two edits apart."""
    there = set(words)
    return {(word, other) for word in there for other in neighbours(word) if other in there and other != word}


@pytest.mark.parametrize(
    ("seed", "slot", "words"),
    [
        (0, 0, ["yupan", "nibod", "gitek", "gijum", "fupug"]),
        (0, 3, ["jowot", "pecir", "yeken", "ugelk", "yafom"]),
        (1, 3, ["hevut", "tesuf", "fobit", "vokar", "sizot"]),
        (2**40, 15, ["gakel", "ditid", "noant", "cidam", "vojal"]),
    ],
)
def test_first_words(seed: int, slot: int, words: list[str]) -> None:
    assert Vocabulary(seed, slot).take(5) == words


def test_first_grown_words() -> None:
    words = Vocabulary(seed=0, slot=3).take(PAST_THE_LIST)
    short = [word for word in words if len(word) < 6]
    assert 1_200 < len(short) < 2_200
    assert words[: len(short)] == short, "grown words come after the others"
    assert words[len(short) :][:3] == ["tisowuc", "nizoteg", "sesakov"]


def test_the_list_has_no_word_twice_and_is_sorted() -> None:
    assert len(listed()) >= 60_000
    assert all(a < b for a, b in pairwise(listed()))


@pytest.mark.parametrize(
    ("words", "shape"), [(listed, r"[a-z]{4,5}"), (grown, r"([bcdfghjklmnprstvwyz][aeiou]){3}[bcdfghjklmnprstvwyz]")]
)
def test_words_read_and_inflect_regularly(words: object, shape: str) -> None:
    assert callable(words)
    for word in words():
        assert re.fullmatch(shape, word), word
        assert not re.search("(s|x|z|sh|ch|e|y|ed)$", word), word
        assert not re.search(r"(.)\1\1|q|x|[^aeiou]{4}|^[^aeiou]+$", word), word


def test_no_form_of_a_word_is_known() -> None:
    forms = {word + ending for word in listed() + grown() for ending in ("", "s", "ed")}
    assert known(forms | {"table", "ronaldo"}) == {"table", "ronaldo"}


def test_forms_of_different_words_differ() -> None:
    words = set(listed()) | set(grown())
    assert not words & {word + ending for word in words for ending in ("s", "ed")}


def test_distance() -> None:
    assert [distance("ronim", other) for other in ("ronim", "ronem", "onim", "romin", "")] == [0, 1, 1, 2, 5]


@pytest.mark.parametrize(("seed", "slot"), [(0, 0), (0, 15), (1, 7), (20_250_601, 3)])
def test_words_of_a_slot_are_two_edits_apart(seed: int, slot: int) -> None:
    words = Vocabulary(seed, slot).take(PAST_THE_LIST)
    assert {len(word) for word in words} == {4, 5, 7}
    assert len(set(words)) == len(words)
    assert not close_pairs(words)


@settings(max_examples=20, deadline=None)
@given(SEEDS, SLOT_NUMBERS, st.integers(2, 40))
def test_distances_by_the_table(seed: int, slot: int, n: int) -> None:
    words = Vocabulary(seed, slot).take(n)
    assert min(distance(a, b) for a, b in combinations(words, 2)) >= 2


@pytest.mark.parametrize("seed", [0, 1, 99])
def test_slots_of_a_seed_share_no_word(seed: int) -> None:
    words = [word for slot in range(SLOTS) for word in Vocabulary(seed, slot).take(PAST_THE_LIST)]
    assert len(set(words)) == SLOTS * PAST_THE_LIST


@settings(max_examples=30, deadline=None)
@given(SEEDS, SLOT_NUMBERS, st.lists(st.integers(0, 4_000), min_size=2, max_size=4))
def test_fewer_words_are_the_first_of_more(seed: int, slot: int, sizes: list[int]) -> None:
    words = Vocabulary(seed, slot).take(4_000)
    again = Vocabulary(seed, slot)
    for n in sizes:  # in any order, from one vocabulary
        assert again.take(n) == words[:n]
        assert Vocabulary(seed, slot).take(n) == words[:n]


def test_what_the_caller_does_with_the_words_changes_no_later_ones() -> None:
    vocabulary = Vocabulary(seed=0, slot=3)
    vocabulary.take(5).clear()
    assert vocabulary.take(1) == ["jowot"]


def test_a_full_slot() -> None:
    words = Vocabulary(seed=7, slot=2).take(CAPACITY)
    assert len(set(words)) == CAPACITY
    assert not close_pairs(words[-2_000:])


@settings(max_examples=10, deadline=None)
@given(SEEDS, SLOT_NUMBERS)
def test_neighbouring_seeds_share_no_word(seed: int, slot: int) -> None:
    one, other = ({w for k in (slot, (slot + 1) % SLOTS) for w in Vocabulary(seed + i, k).take(1_200)} for i in (0, 1))
    assert {len(word) for word in one | other} == {4, 5}
    assert not one & other


def test_asking_for_too_many() -> None:
    message = f"^a world of this size needs 600000 words, .* at most {CAPACITY}: make the world smaller$"
    with pytest.raises(ValueError, match=message):
        Vocabulary(seed=0, slot=0).take(600_000)


def test_asking_for_less_than_nothing() -> None:
    with pytest.raises(ValueError, match=r"^cannot take -1 words; ask for 0 or more$"):
        Vocabulary(seed=0, slot=0).take(-1)


@pytest.mark.parametrize("slot", [-1, SLOTS])
def test_a_slot_that_is_not_there(slot: int) -> None:
    with pytest.raises(ValueError, match=f"^there is no slot {slot} in a vocabulary: choose one from 0 to 15$"):
        Vocabulary(seed=0, slot=slot)
