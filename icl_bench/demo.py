"""`icl-bench demo`: a fresh world from seed to scores in minutes, on a laptop, without a download.

Two learners: `icl-ngram`, which repeats what it has read and infers nothing, is the floor on all datasets. The reference
learner (see `icl_bench/learner`) is a small transformer that can learn in its context and by fine-tuning; it goes through
the four conditions of the study on `LEARNED`. It needs torch; without it there is the floor alone.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from icl_bench.audit import audit
from icl_bench.augment import augment
from icl_bench.evaluate import task_folder
from icl_bench.generate import generate
from icl_bench.loading import load_dataset

FIELDS: dict[str, dict[str, Any]] = {
    "reversal": {"facts": 40},
    "syllogism": {"syllogisms": 22, "documents_per_syllogism": 8},
}
"""A world that the reference learner can hold in its context; the other datasets have their default size."""
LEARNED = {"reversal": 40, "syllogism": 22}
"""What the reference learner goes through, and how many documents it has in context: with these every fact is told once."""
LEARNER = Path(__file__).parent / "reference_learner"
FLOOR = ("closed book", "in context", "trained")
CONDITIONS = ("closed book", "in context", "fine-tuned", "augmented")
TRAINED = CONDITIONS[2:]
_HEADERS = ("n-gram\nin\ncontext", "n-gram\ntrained", "closed\nbook", "in\ncontext", "fine-\ntuned", "aug-\nmented")
_REMARKS = """\
- rephrase asks for what is stated, the other kinds for what follows from it.
- n-gram repeats what is stated in the same words and infers nothing: the floor."""
_LEARNED = """\
- The other four columns are a transformer of a million parameters, which was
  trained on other worlds and knows no word of this one. In its context it
  finds what is stated and what follows. Fine-tuned on the same facts it knows
  what is stated, but not what follows. Augmented: fine-tuned on all that
  follows as well. (Conclusions of syllogisms it then learns in part, and some
  can be guessed: "no" if a premise says "no".)
- 95 % intervals for reversal: in context {in_context}, fine-tuned {fine_tuned}."""
_WITHOUT_TORCH = "- With torch (pip install 'icl_bench[hf]') a small transformer is scored as well."


class Score(NamedTuple):
    """Accuracy on one kind of question in one condition."""

    accuracy: float
    standard_error: float
    chance: float
    questions: int


Scores = dict[tuple[str, str], dict[str, Score]]
"""(dataset, kind) -> condition -> score."""


def demo(seed: int | None, out: Path | None, figure: Path | None = None) -> bool:
    """Generate, audit and score a world, and print what to look at.

    Args:
        seed: None for one that nobody has seen. An even one below 2**31 shares no word with what the learner was trained on.
        out: the folder to write; None for one that is removed in the end.
        figure: a file for the figure, such as demo.png; None for none.

    Returns:
        Whether the audit found no fault.

    Raises:
        IclBenchError: the folder cannot be written.
    """
    console = Console()
    seed = 2 * secrets.randbelow(2**30) if seed is None else seed
    with TemporaryDirectory() as scratch:
        folder = out or Path(scratch) / "world"
        with console.status("generating"):
            generate([], seed, folder, FIELDS)
        console.print(f"world of seed {seed}" + (f" in {out}" if out else ""), highlight=False)
        with console.status("auditing"):
            checks = audit(folder)
        failed = [check for check in checks if not check.passed]
        console.print(f"audit: {len(checks) - len(failed)} checks passed, {len(failed)} failed", highlight=False)
        for check in failed:
            console.print(f"  {check.dataset}, {check.name}: {check.detail}", highlight=False, markup=False)
        with console.status("scoring the n-gram learner"):
            floor = scores(folder)
        learned: Scores = {}
        if find_spec("torch"):
            with console.status("scoring the reference learner") as status, _quiet():
                learned = learner_scores(folder, seed, lambda cell: status.update(f"reference learner: {cell}"))
    console.print(_table(floor, learned))
    console.print(_REMARKS, _remarks(learned), sep="\n", highlight=False, markup=False)
    if learned and figure:
        draw(learned, figure)
        console.print(f"- The figure is {figure}.", highlight=False, markup=False)
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
            evaluated = evaluate(learner, {"tasks": chosen}, log_samples=False) or {}
            for name, result in evaluated["results"].items():
                asked = chosen[name].config.dataset_kwargs
                row = found.setdefault((asked["dataset"], asked["kind"]), {})
                count = evaluated["n-samples"][name]["effective"]
                row[condition] = Score(result["acc,none"], result["acc_stderr,none"], result["chance,none"], count)

        closed_book = tasks["icl_bench_closed_book"]
        score(FLOOR[0], NGramLM(), closed_book)
        score(FLOOR[1], NGramLM(), tasks["icl_bench_in_context"])
        for dataset in dict.fromkeys(task.config.dataset_kwargs["dataset"] for task in closed_book.values()):
            own = {name: task for name, task in closed_book.items() if task.config.dataset_kwargs["dataset"] == dataset}
            score(FLOOR[2], NGramLM(train=dataset, path=str(folder)), own)
    return found


def learner_scores(folder: Path, seed: int, tell: Callable[[str], object] = lambda cell: None) -> Scores:
    """What the reference learner scores in the four conditions, on the datasets of `LEARNED`.

    Args:
        folder: of `generate`; closure documents are added to it.
        seed: of the order of training documents.
        tell: called with what is computed now.
    """
    from icl_bench.learner.finetune import finetune
    from icl_bench.learner.measure import CLOSURE, by_kind, chance, lesson, load
    from icl_bench.learner.score import accuracy

    found: Scores = {}
    for dataset, count in LEARNED.items():
        augment(folder, "closure", [dataset], CLOSURE.get(dataset))
        tables = load_dataset(dataset, path=folder)
        documents = tables["train"]["text"]
        kinds = by_kind(tables)
        for condition in CONDITIONS:
            tell(f"{dataset}, {condition}")
            model, tokenizer = load(LEARNER)
            if condition in TRAINED:
                finetune(model, tokenizer, *lesson(dataset, tables, condition == "augmented"), seed)
            context = documents[:count] if condition == "in context" else ()
            for kind, questions in kinds.items():
                share, size = accuracy(model, tokenizer, questions, context), len(questions)
                score = Score(share, (share * (1 - share) / (size - 1)) ** 0.5, chance(questions), size)
                found.setdefault((dataset, kind), {})[condition] = score
    return found


def interval(score: Score) -> tuple[float, float]:
    """The 95 % interval of an accuracy (Wilson 1927)."""
    from scipy.stats import binomtest

    found = binomtest(round(score.accuracy * score.questions), score.questions).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def draw(learned: Scores, file: Path) -> None:
    """A figure of the four conditions: bars with 95 % intervals, and a line at chance.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.2 * len(learned) + 1, 3.2), layout="constrained")
    for axes, ((dataset, kind), row) in zip(figure.subplots(1, len(learned), sharey=True), learned.items(), strict=True):
        for i, (name, score) in enumerate(row.items()):
            low, high = interval(score)
            error = [[score.accuracy - low], [high - score.accuracy]]
            axes.bar(i, score.accuracy, yerr=error, capsize=3, color=f"C{i}", label=name)
        axes.axhline(next(iter(row.values())).chance, color="black", linestyle=":", linewidth=1)
        axes.set(title=f"{dataset}:\n{kind}", ylim=(0, 1.05), xticks=range(len(row)))
        axes.set_xticklabels(row, rotation=60, ha="right")
    figure.supylabel("accuracy")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the logs and progress bars of lm-eval and transformers."""
    loggers = [logging.getLogger(name) for name in ("lm_eval", "transformers")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with redirect_stderr(StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _remarks(learned: Scores) -> str:
    if not learned:
        return _WITHOUT_TORCH
    row = learned["reversal", "reversal"]
    bounds = ("{:.0f}-{:.0f}".format(*(100 * bound for bound in interval(row[name]))) for name in ("in context", "fine-tuned"))
    return _LEARNED.format(**dict(zip(("in_context", "fine_tuned"), bounds, strict=True)))


def _table(floor: Scores, learned: Scores) -> Table:
    table = Table(title="accuracy ± standard error, %", box=SIMPLE, padding=0)
    headers = _HEADERS if learned else _HEADERS[: len(FLOOR) - 1]
    for header in ("kind", "chance", *headers):
        table.add_column(header, no_wrap=True)
    for dataset in dict.fromkeys(dataset for dataset, _ in floor):
        table.add_row(f"[bold]{dataset}[/bold]")
        for key, row in ((key, row) for key, row in floor.items() if key[0] == dataset):
            cells = [*(row[condition] for condition in FLOOR[1:]), *learned.get(key, {}).values()]
            texts = (f"{100 * score.accuracy:.0f} ± {100 * score.standard_error:.0f}" for score in cells)
            table.add_row(f"  {key[1]}", f"{100 * row[FLOOR[0]].chance:.0f}", *texts)
    return table
