"""`icl-bench demo`: a fresh world from seed to scores in under a minute, on a laptop, without torch.

The learner is `icl-ngram`, which repeats what it has read and infers nothing: what a model scores above it, it owes to
more than copying.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from icl_bench.audit import audit
from icl_bench.evaluate import task_folder
from icl_bench.generate import generate

CONDITIONS = ("closed book", "in context", "trained")
_REMARKS = (
    "Closed book, nothing was read. Syllogisms alone leave chance: a taste for 'some' is right in 5 of their 11 forms.",
    "Rephrase asks what is stated. This learner finds it where the wording is the same; a model should find it all.",
    "The other kinds are never stated. The dataset card says what shallow learners reach there; inference is what exceeds them.",
)


class Score(NamedTuple):
    """Accuracy on one kind of question in one condition."""

    accuracy: float
    standard_error: float
    chance: float


Scores = dict[tuple[str, str], dict[str, Score]]
"""(dataset, kind) -> condition -> score."""


def demo(seed: int | None, out: Path | None) -> bool:
    """Generate, audit and score a world, and print what to look at.

    Args:
        seed: None for one that nobody has seen.
        out: the folder to write; None for one that is removed in the end.

    Returns:
        Whether the audit found no fault.

    Raises:
        IclBenchError: the folder cannot be written.
    """
    console = Console()
    seed = secrets.randbelow(2**32) if seed is None else seed
    with TemporaryDirectory() as scratch:
        folder = out or Path(scratch) / "world"
        with console.status("generating"):
            generate([], seed, folder)
        console.print(f"world of seed {seed}" + (f" in {out}" if out else ""), highlight=False)
        with console.status("auditing"):
            checks = audit(folder)
        failed = [check for check in checks if not check.passed]
        console.print(f"audit: {len(checks) - len(failed)} checks passed, {len(failed)} failed", highlight=False)
        for check in failed:
            console.print(f"  {check.dataset}, {check.name}: {check.detail}", highlight=False, markup=False)
        with console.status("scoring"):
            results = scores(folder)
    console.print(_table(results), *(f"- {remark}" for remark in _REMARKS), sep="\n", highlight=False)
    return not failed


def scores(folder: Path) -> Scores:
    """What `icl-ngram` scores on all tasks: without documents, with them in context, and trained on them."""
    found: Scores = {}
    with _quiet():
        from lm_eval import evaluate
        from lm_eval.tasks import TaskManager

        from icl_bench.ngram import NGramLM

        manager = TaskManager(include_path=task_folder(), include_defaults=False, metadata={"path": str(folder)})
        tasks = {name: manager.load(name)["tasks"] for name in ("icl_bench_closed_book", "icl_bench_in_context")}

        def score(condition: str, learner: NGramLM, chosen: dict[str, Any]) -> None:
            for name, result in (evaluate(learner, {"tasks": chosen}, log_samples=False) or {})["results"].items():
                asked = chosen[name].config.dataset_kwargs
                row = found.setdefault((asked["dataset"], asked["kind"]), {})
                row[condition] = Score(result["acc,none"], result["acc_stderr,none"], result["chance,none"])

        closed_book = tasks["icl_bench_closed_book"]
        score(CONDITIONS[0], NGramLM(), closed_book)
        score(CONDITIONS[1], NGramLM(), tasks["icl_bench_in_context"])
        for dataset in dict.fromkeys(task.config.dataset_kwargs["dataset"] for task in closed_book.values()):
            own = {name: task for name, task in closed_book.items() if task.config.dataset_kwargs["dataset"] == dataset}
            score(CONDITIONS[2], NGramLM(train=dataset, path=str(folder)), own)
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Without lm-eval's log and progress bars."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with redirect_stderr(StringIO()):
            yield
    finally:
        logger.setLevel(level)


def _table(results: Scores) -> Table:
    table = Table("kind", "chance", *CONDITIONS, title="icl-ngram: accuracy ± standard error, %", box=SIMPLE)
    for dataset in dict.fromkeys(dataset for dataset, _ in results):
        table.add_row(f"[bold]{dataset}[/bold]")
        for (_, kind), row in ((key, row) for key, row in results.items() if key[0] == dataset):
            cells = (f"{100 * row[c].accuracy:.0f} ± {100 * row[c].standard_error:.1f}" for c in CONDITIONS)
            table.add_row(f"  {kind}", f"{100 * row[CONDITIONS[0]].chance:.0f}", *cells)
    return table
