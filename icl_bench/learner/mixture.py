"""Which dataset a step reads: `reversal` alone until it is learned, then three of them by turns.

Direction is learned on `reversal`, where it takes a curriculum; the others come quickly to a model that can find a name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from icl_bench.learner import reversal, reversal_curse, syllogism
from icl_bench.learner.curriculum import Curriculum
from icl_bench.learner.reversal import queries_each
from icl_bench.learner.text import Encoder, Tokens
from icl_bench.streams import Stream, stream
from icl_bench.vocabulary import Vocabulary
from icl_bench.worlds import WORLDS
from icl_bench.worlds.people import natural, nonsense

FIRST_SEED = 2**31 + 1
"""The world of the first step; the next step's is two further on, so that all are odd."""
MIXED_FROM = 1900
"""Steps of `reversal` alone."""
MORE_PEOPLE_FROM = 3500
"""Steps after which half of them read `reversal_curse`, by then the least learned."""
_SHARES = {"reversal": 45, "syllogism": 30, "reversal_curse": 25}
_LATER = {"reversal": 25, "syllogism": 25, "reversal_curse": 50}
_GROWS_FROM, _DOUBLES = 4_200_000, 1_500_000
"""Tokens from which, and after how many more of which each time, sequences of the others may hold twice as many facts, from
two on."""
_MOST = {"syllogism": 24, "reversal_curse": 24}
_LENGTHS = {"syllogism": (24, 15), "reversal_curse": (38, 38)}
"""About how many tokens a document has, and a query."""
_NAMES, _PEOPLE = 1500, 40
_LONG = 3000
"""Tokens of a step, when sequences are long."""

Sampler = Callable[[Encoder, Stream, Any, int, float, int], Tokens]
_SAMPLERS: dict[str, Sampler] = {
    "reversal": reversal.sequence,
    "syllogism": syllogism.sequence,
    "reversal_curse": reversal_curse.sequence,
}


def world_seed(step: int) -> int:
    """The seed of a step's words: odd, and beyond those that worlds are tested on."""
    return FIRST_SEED + 2 * step


def sequences(encoder: Encoder, curriculum: Curriculum, seed: int, step: int, read: int) -> tuple[list[Tokens], str, int]:
    """The sequences of a step, their dataset, and how many facts each holds.

    Args:
        seed: of the training.
        read: tokens before this step.
    """
    draws = stream(seed, "learner", "step", step)
    later = step >= MORE_PEOPLE_FROM
    name = _dataset(draws, _LATER if later else _SHARES) if step >= MIXED_FROM else "reversal"
    pool = _pool(name, draws, world_seed(step))
    if name == "reversal":
        count = curriculum.count(draws)
        repeats = 1 + draws.below(3) if count <= 12 and curriculum.most >= 8 and draws.below(10) < 3 else 1
        room = _LONG if curriculum.most >= 12 else _LONG // 2
        length = count * (15 * repeats + 13 * queries_each(count))
        share = curriculum.reversals()
    else:
        most = min(_MOST[name], 2 << max(0, read - _GROWS_FROM) // _DOUBLES)
        count = most if draws.below(2) else 1 + draws.below(most)
        repeats, room = 1, _LONG
        document, query = _LENGTHS[name]
        length = count * (document + query * (2 if count <= 4 else 1))
        share = 0.75 if name == "syllogism" and not later else 0.5
    rows = max(1, room // length)
    return [_SAMPLERS[name](encoder, draws, pool, count, share, repeats) for _ in range(rows)], name, count


def _dataset(draws: Stream, shares: Mapping[str, int]) -> str:
    place = draws.below(sum(shares.values()))
    for name, share in shares.items():
        if place < share:
            return name
        place -= share
    raise AssertionError


def _pool(name: str, draws: Stream, seed: int) -> Sequence[Any]:
    """What the entities of a world are drawn from: words, or people, half of them with natural names."""
    words = Vocabulary(seed, slot=list(WORLDS).index(name))
    if name != "reversal_curse":
        return words.take(_NAMES)
    return nonsense(seed, _PEOPLE, words.take) if draws.below(2) else natural(seed, _PEOPLE)
