"""How many facts a sequence holds, and how many of its queries are reversed: what decides whether anything is learned.

With half of the queries reversed from the start the direction is an exclusive or of two unknowns, and nothing moves. So
names come first, on one fact; then directions as they are stated; then reversals; then more and more facts.
"""

from __future__ import annotations

from collections.abc import Mapping

from icl_bench.learner.reversal import FORWARD, NAME_FORWARD, REVERSED
from icl_bench.streams import Stream

COUNTS = (1, 2, 2, 3, 4, 6, 8, 12, 16, 20, 24, 28)
"""Facts of a sequence, stage by stage."""
_NAMES_FIRST, _FORWARD_FIRST = 0, 1
_FEW_REVERSED = 0.2
_LONGEST = 500
"""Steps after which a stage past the first three ends in any case."""
_MEMORY = 0.95
"""Of a running mean, what is kept at a step."""


class Curriculum:
    """The stage, and what was measured in it."""

    def __init__(self) -> None:
        self.stage = 0
        self.steps = 0
        """steps in this stage at its largest number of facts"""
        self.means: dict[int, float] = {}

    @property
    def most(self) -> int:
        """The largest number of facts so far."""
        return COUNTS[self.stage]

    def count(self, draws: Stream) -> int:
        """Facts of the sequences of a step: most often the most."""
        lower = sorted(set(COUNTS[: self.stage + 1]))
        return self.most if draws.below(10) < 6 or len(lower) == 1 else draws.choice(lower[:-1])

    def reversals(self) -> float:
        """The share of reversed queries."""
        if self.stage <= _FORWARD_FIRST:
            return _FEW_REVERSED
        return 0.75 if self.means.get(REVERSED, 0.5) < self.means.get(FORWARD, 0.5) - 0.03 else 0.5

    def learn(self, count: int, measured: Mapping[int, float]) -> None:
        """Take in the shares of right answers of a step, and go on to the next stage if they are high enough.

        Args:
            count: facts of each of its sequences; 0 for those of other datasets, whose measures are only kept.
            measured: group -> share.
        """
        if count not in (0, self.most):
            return
        self.steps += count > 0
        for group, share in measured.items():
            before = self.means.get(group, share if self.steps > 1 else 0.5)
            self.means[group] = _MEMORY * before + (1 - _MEMORY) * share
        if self.stage + 1 < len(COUNTS) and self.steps >= 30 and self._passed():
            self.stage += 1
            self.steps = 0

    def _passed(self) -> bool:
        mean = self.means.get
        if self.stage == _NAMES_FIRST:
            return mean(NAME_FORWARD, 0) > 0.85
        if self.stage == _FORWARD_FIRST:
            return mean(FORWARD, 0) > 0.9
        enough = 0.9 if self.most <= 4 else 0.85
        return (mean(FORWARD, 0) > enough and mean(REVERSED, 0) > enough) or (self.most > 2 and self.steps >= _LONGEST)

    def state(self) -> dict[str, object]:
        """What a checkpoint keeps."""
        return {"stage": self.stage, "steps": self.steps, "means": dict(self.means)}

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on from a checkpoint."""
        self.__dict__.update(state)
