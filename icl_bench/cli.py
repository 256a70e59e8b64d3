"""The command line: parses, calls, prints. Bad input ends with one line and exit status 2."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast

import typer
import yaml
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from icl_bench.errors import IclBenchError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="icl_bench: how language models generalize from facts in their context against facts they were fine-tuned on.",
)
_SET = typer.Option("--set", metavar="DATASET.FIELD=VALUE", help="A field of a dataset's configuration; repeatable.")
_SEED = typer.Option(help="Any integer; every seed is another world.")


def _fields(settings: list[str]) -> dict[str, dict[str, Any]]:
    """`["reversal.facts=10"]` as `{"reversal": {"facts": 10}}`."""
    fields: dict[str, dict[str, Any]] = {}
    for setting in settings:
        path, equals, value = setting.partition("=")
        dataset, dot, field = path.partition(".")
        if not (equals and dot and dataset and field):
            raise IclBenchError(f"--set {setting!r}: write it as dataset.field=value, such as reversal.facts=1000")
        try:
            fields.setdefault(dataset, {})[field] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError):
            raise IclBenchError(f"--set {setting!r}: {value!r} is not a number, a word or a list") from None
    return fields


@contextmanager
def _progress() -> Iterator[Progress]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,.0f} rows"),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


@app.command()
def generate(
    names: Annotated[list[str] | None, typer.Argument(help="Datasets; all if none is named.")] = None,
    out: Annotated[Path, typer.Option(help="Folder to write. One that generate made before is replaced.")] = ...,  # type: ignore[assignment]
    seed: Annotated[int, _SEED] = 0,
    set_: Annotated[list[str] | None, _SET] = None,
) -> None:
    """Write the worlds of a seed as a folder: Parquet tables, a card and a manifest of hashes.

    For example: icl-bench generate reversal --seed 7 --out worlds/7 --set reversal.facts=1000
    """
    from icl_bench.generate import generate as write

    with _progress() as progress:
        rows: dict[str, Any] = {}

        def report(table: str, done: int) -> None:
            if table not in rows:
                rows[table] = progress.add_task(table, total=None)
            progress.update(rows[table], completed=done)

        write(names or [], seed, out, _fields(set_ or []), report)
    typer.echo(f"wrote {out} (seed {seed})")


@app.command()
def audit(path: Annotated[Path, typer.Argument(help="A folder that generate made.")]) -> None:
    """Check a folder of tables from outside: hashes, proofs, distractors, leaks, balance, shallow learners.

    Exit status 1 if a check fails.
    """
    from icl_bench.audit import audit as check

    checks = check(path)
    table = Table("dataset", "check", "", "detail")
    for entry in checks:
        table.add_row(entry.dataset, entry.name, "pass" if entry.passed else "[red]FAIL[/red]", escape(entry.detail))
    Console().print(table)
    failed = sum(not entry.passed for entry in checks)
    typer.echo(f"{len(checks) - failed} checks passed, {failed} failed")
    raise typer.Exit(1 if failed else 0)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A dataset, such as semantic_structure.")],
    question_id: Annotated[str | None, typer.Argument(help="Id of a question; the first of each kind if left out.")] = None,
    seed: Annotated[int, _SEED] = 0,
    path: Annotated[Path | None, typer.Option(help="A folder that generate made, instead of a seed.")] = None,
) -> None:
    """Show a question, its answer and its proof, from stated facts to gold."""
    from icl_bench.show import show as lines

    for line in lines(name, question_id, seed, path):
        typer.echo(line)


@app.command("training-text")
def training_text(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="A dataset, such as syllogism.")],
    out: Annotated[Path, typer.Option(help="File to write; it ends in .jsonl or .parquet.")],
    splitting: Annotated[str, typer.Option(help="none, independent or cumulative: whole documents, or sentences.")] = "none",
    format_: Annotated[str, typer.Option("--format", help="text, prompt_completion or messages.")] = "text",
    splits: Annotated[list[str], typer.Option(help="A split of documents; repeatable.")] = ["train"],  # noqa: B006
    seed: Annotated[int, _SEED] = 0,
    path: Annotated[str | None, typer.Option(help="A folder that generate made, or a Hub id, instead of a seed.")] = None,
    set_: Annotated[list[str] | None, _SET] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write the training documents of a dataset as examples to fine-tune on, whole or split into sentences.

    For example: icl-bench training-text syllogism --splitting cumulative --format messages --out train.jsonl
    """
    from icl_bench.training import Format, Splitting, write_training_text

    fields = _fields(set_ or [])
    if others := sorted(set(fields) - {name}):
        raise IclBenchError(f"--set names {others[0]!r}, but the dataset is {name!r}")
    with _progress() as progress:
        task = progress.add_task(str(out), total=None)
        total = write_training_text(
            out,
            name,
            cast(Splitting, splitting),  # checked there
            cast(Format, format_),
            splits,
            seed,
            path,
            fields.get(name),
            force,
            lambda examples: progress.update(task, completed=examples),
        )
    typer.echo(f"wrote {out} ({total:,} examples)")


@app.command("eval", context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def evaluate(context: typer.Context) -> None:
    """Score a model: lm-evaluation-harness's `run` with our tasks and models known. All its options pass through.

    For example: icl-bench eval --model hf --model_args pretrained=gpt2 --tasks icl_bench_closed_book --metadata seed=7
    """
    from icl_bench.evaluate import run

    raise typer.Exit(run(context.args))


@app.command()
def tasks() -> None:
    """Print the folder of the lm-evaluation-harness tasks, for its --include_path."""
    from icl_bench.evaluate import task_folder

    typer.echo(task_folder())


@app.command()
def demo(
    seed: Annotated[int | None, typer.Option(help="Seed of the world; a fresh one if left out.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write the world; a temporary folder if left out.")] = None,
) -> None:
    """Generate a fresh world, audit it, and score an n-gram learner on it in every condition."""
    from icl_bench.demo import demo as run

    raise typer.Exit(0 if run(seed, out) else 1)


def main() -> None:
    """Run the command line; every foreseen error is one line on stderr and exit status 2."""
    try:
        app()
    except IclBenchError as error:
        sys.stderr.write(f"icl-bench: {' '.join(str(error).split())}\n")
        sys.exit(2)
