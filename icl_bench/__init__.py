"""icl_bench: how language models generalize from facts in their context against facts they were fine-tuned on."""

from __future__ import annotations

from icl_bench.build import build
from icl_bench.errors import IclBenchError
from icl_bench.loading import load_dataset
from icl_bench.schema import Document, Fact, FactRow, Question
from icl_bench.training import training_text
from icl_bench.version import __version__
from icl_bench.worlds import WORLDS

__all__ = [
    "WORLDS",
    "Document",
    "Fact",
    "FactRow",
    "IclBenchError",
    "Question",
    "__version__",
    "build",
    "load_dataset",
    "training_text",
]
