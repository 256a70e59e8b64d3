"""Which cell runs, how many remain, and how long that will take: lines in a file, a bar besides on a terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import mean
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from icl_bench.study.cells import Cell

_EVERY = 100
"""Steps between two lines, where there is no bar."""


class Display:
    """What a study shows while it runs.

    Args:
        console: None for nothing.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(quiet=True)
        columns = (TextColumn("  {task.description}"), BarColumn(), TextColumn("{task.fields[steps]}"), TimeElapsedColumn())
        self._bars = Progress(
            *columns,
            console=self._console,
            transient=True,
            redirect_stdout=False,  # scoring silences the standard error for a while
            redirect_stderr=False,
            disable=not self._console.is_terminal,
        )
        self._bar = self._bars.add_task("", total=None, visible=False, steps="")
        self._start = 0.0

    def __enter__(self) -> Display:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def say(self, line: str) -> None:
        """One line."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def begin(self, cell: Cell, number: int, of: int) -> None:
        """A cell begins."""
        self._start = time.monotonic()
        self.say(f"{cell} ({number} of {of})")
        self._bars.reset(self._bar, description="scores", total=None, visible=True, steps="")

    def step(self, done: int, of: int) -> None:
        """A step of training is done."""
        if done < of and done % _EVERY == 0 and not self._console.is_terminal:
            self.say(f"  {done} of {of} steps")
        if done < of:
            self._bars.update(self._bar, description="trains", completed=done, total=of, steps=f"{done}/{of} steps")
        else:
            self._bars.update(self._bar, description="scores", total=None, steps="")

    def end(self, remaining: Sequence[Cell], seconds: Mapping[Cell, float]) -> None:
        """The cell is finished.

        Args:
            remaining: what is still to be done.
            seconds: how long the finished ones took.
        """
        self._bars.update(self._bar, visible=False)
        took = _duration(time.monotonic() - self._start)
        left = expected(remaining, seconds)
        count = len(remaining)
        more = f"; {count} remain{'s' * (count == 1)}, about {_duration(left)}" if remaining and left is not None else ""
        self.say(f"  {took}{more}")


def expected(remaining: Sequence[Cell], seconds: Mapping[Cell, float]) -> float | None:
    """How long cells will take, in seconds: each as long as the finished ones that are likest to it.

    Returns:
        None if nothing is finished.
    """
    if not seconds:
        return None

    def alike(cell: Cell) -> float:
        """The mean of the first group that has members: its other seeds, its condition, anything."""
        for key in (
            lambda one: (one.dataset, one.condition, one.first),
            lambda one: (one.condition, one.first is None),
            lambda one: 0,
        ):
            if same := [took for one, took in seconds.items() if key(one) == key(cell)]:
                return mean(same)
        raise AssertionError

    return sum(map(alike, remaining))


def _duration(seconds: float) -> str:
    """Such as 41 s, 12 min or 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
