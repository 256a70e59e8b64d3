"""The registry of datasets. A new one is a module here, its templates, and a line in `WORLDS`.

A dataset's place in `WORLDS` is its slot of the vocabulary, so new ones go to the end.
"""

from __future__ import annotations

from types import ModuleType

from icl_bench.worlds import process, reversal, reversal_curse, semantic_structure, syllogism

WORLDS: dict[str, ModuleType] = {
    "reversal": reversal,
    "syllogism": syllogism,
    "semantic_structure": semantic_structure,
    "reversal_curse": reversal_curse,
    "process": process,
}
