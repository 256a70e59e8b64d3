"""Which ways there are to share what prompts begin with, for one model, and which of them have proved right."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from icl_bench.errors import IclBenchError
from icl_bench.scoring.expanding import Expand
from icl_bench.scoring.forward import Machine
from icl_bench.scoring.packing import Pack
from icl_bench.scoring.runs import DifferentAnswers, Run

_log = logging.getLogger(__name__)
_RUNS: dict[str, Callable[..., Run]] = {
    "pack": Pack,
    "expand": Expand,
    "expand token by token": partial(Expand, one_by_one=True),
}


class Ways:
    """The ways of one model. Each is compared with plain forward passes when it is first used.

    Args:
        machine: the model.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.proved = set[str]()
        self.failed = set[str]()
        self._compared: dict[str, int] = {}
        self._said = set[str]()

    def left(self, longest: int) -> list[str]:
        """Those that may be used for sequences of up to `longest` tokens, best first."""
        possible = self.machine.strategies(longest)
        if not possible:
            self._warn("the configuration of this model allows nothing to be shared; everything is left to hf")
        return [way for way in possible if way not in self.failed]

    def try_one(self, way: str, following: str, longest: int, task: Callable[[Callable[..., Run]], Any]) -> Any:
        """The result of a task, or None if this way turns out to be none for this model.

        Args:
            way: one of `left`.
            following: what will be tried after it, for the warning.
            longest: tokens of the longest sequence. If longer ones than before come, answers are compared again.
            task: gets a class of runs, whose first argument (the model) and whose checks are filled in.

        Raises:
            IclBenchError: bad input, or too little memory.
        """
        runs: list[Run] = []

        def start(*arguments: Any) -> Run:
            runs.append(_RUNS[way](self.machine, *arguments, check=longest > self._compared.get(way, 0)))
            return runs[-1]

        try:
            result = task(start)
        except IclBenchError:
            raise
        except Exception as error:  # code of models fails in many ways, and hf is always left
            if way in self.proved and not isinstance(error, DifferentAnswers):
                raise
            self.failed.add(way)
            does = "gives other answers than a plain forward pass" if isinstance(error, DifferentAnswers) else "fails"
            text = f"{way} {does} ({error}); falling back to {following}"
            if following in _RUNS and way == "expand":
                _log.info("icl-hf: %s", text)  # a known limit of some state-space models, and nothing is wrong
            else:
                self._warn(text)
            return None
        if any(run.compared for run in runs):
            self.proved.add(way)
            self._compared[way] = max(longest, self._compared.get(way, 0))
        return result

    def _warn(self, text: str) -> None:
        if text not in self._said:
            _log.warning("icl-hf: %s", text)
        self._said.add(text)
