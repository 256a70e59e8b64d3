"""Streams: the same numbers everywhere, independent paths, uniform draws."""

import os
import subprocess
import sys
from collections import Counter
from hashlib import blake2b
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_bench.streams import stream


def test_known_numbers():
    assert stream(0, "reversal", "facts", 3).below(100) == 28
    assert stream(0, "reversal", "facts", 3).shuffled("abc") == ["a", "c", "b"]


def test_words_are_those_of_the_hash():
    draws = stream(1, "many")
    words = [draws.word() for _ in range(100)]
    assert words[0] == int.from_bytes(blake2b(b"(1, 'many')").digest()[:8], "little")
    assert words[99] == int.from_bytes(blake2b(b"(1, 'many')#12").digest()[24:32], "little")  # 99 = 8 * 12 + 3


def test_same_in_another_process_with_another_hash_seed():
    code = "from icl_bench.streams import stream; print(stream(9, 'a', 1).shuffled(range(50)))"
    for hash_seed in ("0", "1"):
        output = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert output.strip() == str(stream(9, "a", 1).shuffled(range(50)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((0, "a", "b"), (0, "ab")),
        ((0, "1"), (0, 1)),
        ((0, "a", 1), (0, "a", 11)),
        ((0,), (1,)),
        ((0, "a'b"), (0, "a", "b")),
    ],
)
def test_different_paths_differ(one, other):
    assert stream(*one).word() != stream(*other).word()


@given(st.integers(), st.integers(min_value=1, max_value=1 << 64))
def test_below_is_in_range(seed, n):
    assert 0 <= stream(seed, "below").below(n) < n


@pytest.mark.parametrize("n", [0, -3])
def test_below_refuses_an_empty_range(n):
    with pytest.raises(ValueError, match=rf"below\({n}\)"):
        stream(0).below(n)


def test_below_is_uniform():
    counts = Counter(stream(0, "uniform", i).below(3) for i in range(30_000))
    assert all(abs(counts[k] - 10_000) < 4 * 82 for k in range(3))  # 4 standard deviations


def test_shuffles_are_uniform():
    counts = Counter(tuple(stream(0, "shuffle", i).shuffled("abc")) for i in range(12_000))
    assert set(counts) == set(permutations("abc"))
    assert all(abs(count - 2_000) < 4 * 41 for count in counts.values())


@given(st.integers(), st.integers(0, 60))
def test_order_is_lazy_and_agrees_with_shuffled(seed, n):
    assert list(stream(seed, "o").order(n)) == stream(seed, "o").shuffled(range(n))
    assert sorted(stream(seed, "o").order(n)) == list(range(n))


@given(st.integers(), st.integers(1, 40), st.data())
def test_a_smaller_sample_begins_a_larger_one(seed, n, data):
    k = data.draw(st.integers(0, n))
    assert stream(seed, "s").sample(range(n), n)[:k] == stream(seed, "s").sample(range(n), k)


def test_sample_of_too_many():
    with pytest.raises(ValueError, match="cannot sample 4 of 3"):
        stream(0).sample("abc", 4)
