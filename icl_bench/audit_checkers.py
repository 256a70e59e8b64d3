"""How a dataset can be checked: a logic by which facts follow, and all that depends on it.

datalog    facts follow by Horn rules, and the table lists all of them
process    results follow by calculation, without number, and their formulas are entities of their own
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from icl_bench.audit_facts import Truth
from icl_bench.audit_process import ProcessLeaks, ProcessTruth, Results
from icl_bench.audit_text import Leaks
from icl_bench.known import Known


class Checker(NamedTuple):
    """What one logic needs."""

    truth: type[Truth] = Truth
    """knows what follows, and checks the table of facts"""
    leaks: type[Leaks] = Leaks
    """knows what a training document must not tell"""
    known: type[Known] = Known
    """knows from the table of facts what else is true, and how that may be written"""


CHECKERS: Mapping[str, Checker] = {"datalog": Checker(), "process": Checker(ProcessTruth, ProcessLeaks, Results)}
"""`World.checker`, as in the manifest -> how to check."""
