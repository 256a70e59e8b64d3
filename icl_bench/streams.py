"""The only place where randomness is made: a stream of numbers that its path alone decides.

>>> stream(0, "reversal", "facts", 3).below(100)
28
>>> stream(0, "reversal", "facts", 3).shuffled("abc")
['a', 'c', 'b']

Word `k` of a stream is the `k`-th 64-bit little-endian integer of BLAKE2b(path), BLAKE2b(path + block 1), ...: no state
is shared between streams, so that adding an item moves no other, and the numbers are the same on every platform, in
every process and in every version of Python.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import count
from typing import TypeVar

T = TypeVar("T")
_WORDS = struct.Struct("<8Q")


class Stream:
    """Uniform draws from the 64-bit words of one path. Make it with `stream`."""

    __slots__ = ("_path", "_words")

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._words = self._blocks()

    def _blocks(self) -> Iterator[int]:
        yield from _WORDS.unpack(blake2b(self._path).digest())
        for block in count(1):
            yield from _WORDS.unpack(blake2b(b"%b#%d" % (self._path, block)).digest())

    def word(self) -> int:
        """The next integer in [0, 2**64)."""
        return next(self._words)

    def below(self, n: int) -> int:
        """A uniform integer in [0, n), without bias (Lemire 2019, multiplication with rejection).

        Raises:
            ValueError: n is not positive.
        """
        product = next(self._words) * n
        low = product & 0xFFFFFFFFFFFFFFFF
        if low < n or n < 1:
            if n < 1:
                raise ValueError(f"below({n}): there is no integer in [0, {n}); ask for a positive bound")
            threshold = 0x10000000000000000 % n
            while low < threshold:
                product = next(self._words) * n
                low = product & 0xFFFFFFFFFFFFFFFF
        return product >> 64

    def choice(self, items: Sequence[T]) -> T:
        """One item, uniformly."""
        return items[self.below(len(items))]

    def order(self, n: int) -> Iterator[int]:
        """The integers in [0, n) in random order, lazily: the first k cost k draws, whatever n is."""
        moved: dict[int, int] = {}
        for i in range(n - 1):
            j = i + self.below(n - i)
            yield moved.get(j, j)
            moved[j] = moved.pop(i, i)
        if n:
            yield moved.get(n - 1, n - 1)

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """All the items in random order, that of `order`."""
        mixed = list(items)
        for i in range(len(mixed) - 1):
            j = i + self.below(len(mixed) - i)
            mixed[i], mixed[j] = mixed[j], mixed[i]
        return mixed

    def sample(self, items: Sequence[T], k: int) -> list[T]:
        """k different items in random order; the first j of them are what `sample(items, j)` gives.

        Raises:
            ValueError: there are fewer than k items.
        """
        if k > len(items):
            raise ValueError(f"cannot sample {k} of {len(items)} items; ask for {len(items)} or fewer")
        order = self.order(len(items))
        return [items[next(order)] for _ in range(k)]


def stream(seed: int, *names: str | int) -> Stream:
    """The random stream at a path such as `stream(seed, "reversal", "facts", i)`."""
    return Stream(ascii((seed, *names)).encode("ascii"))
