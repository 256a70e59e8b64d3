"""The command line: parses, calls, prints. Bad input ends with one line and exit status 2."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from icl_bench.cli_options import SET, fields_of
from icl_bench.errors import IclBenchError
from icl_bench.study.command import report, study

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="icl_bench: how language models generalize from facts in their context against facts they were fine-tuned on.",
)
_SEED = typer.Option(help="Any integer; every seed is another world.")


@contextmanager
def _progress(unit: str = "rows") -> Iterator[Progress]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn(f"{{task.completed:,.0f}} {unit}"),
        TimeElapsedColumn(),
    )
    console = Console(file=sys.stderr)  # this one for good: models are kept from writing to whatever it may become
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


@app.command()
def generate(
    names: Annotated[list[str] | None, typer.Argument(help="Datasets; all if none is named.")] = None,
    out: Annotated[Path, typer.Option(help="Folder to write. One that generate made before is replaced.")] = ...,  # type: ignore[assignment]
    seed: Annotated[int, _SEED] = 0,
    set_: Annotated[list[str] | None, SET] = None,
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

        write(names or [], seed, out, fields_of(set_ or []), report)
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
def augment(
    path: Annotated[Path, typer.Argument(help="A folder that generate made.")],
    method: Annotated[str | None, typer.Option(help="closure (what follows), local or global (what a model writes).")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="A dataset of the folder; repeatable; all if none is named.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Do not add documents: report how true those are that were added.")
    ] = False,
    kinds: Annotated[
        list[str] | None,
        typer.Option(help="closure: a kind of questions or a relation; repeatable; all that follows if left out."),
    ] = None,
    hops: Annotated[str | None, typer.Option(help="closure: stated facts in the proof, least-most: 2, 1-3 or 2-.")] = None,
    wordings: Annotated[int | None, typer.Option(help="closure: different wordings of each fact (default: 3, or all).")] = None,
    share: Annotated[
        float | None, typer.Option(help="Of the facts, sentences or documents, the share that is augmented.")
    ] = None,
    count: Annotated[int | None, typer.Option(help="The most facts, sentences or documents that are augmented.")] = None,
    documents: Annotated[
        int | None, typer.Option(help="global: training documents in context, the first ones; default all.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="local, global: a model of lm-eval: hf, vllm, local-chat-completions, ...")
    ] = None,
    model_args: Annotated[str | None, typer.Option("--model_args", help="Its arguments: pretrained=...,dtype=bfloat16")] = None,
    gen_kwargs: Annotated[
        str | None, typer.Option("--gen_kwargs", help="How it writes: temperature=0.7,max_gen_toks=512")
    ] = None,
    apply_chat_template: Annotated[
        bool | None, typer.Option("--apply_chat_template", help="Send the prompt as a message (chat-completions: always).")
    ] = None,
) -> None:
    """Add training documents that tell more of what follows, as the split augmented_<method>; or check them.

    For example: icl-bench augment worlds/7 --method closure --dataset reversal --wordings 2

    What a model has answered is kept in DIR/answers: after an interruption, run the same command again.
    """
    from icl_bench.augment import augment as add

    given = {
        "kinds": kinds,
        "hops": None if hops is None else _hops(hops),
        "wordings": wordings,
        "share": share,
        "count": count,
        "documents": documents,
        "model": model,
        "model_args": model_args,
        "gen_kwargs": gen_kwargs,
        "apply_chat_template": apply_chat_template,
    }
    options = {name: value for name, value in given.items() if value is not None}
    if check:
        if options:
            raise IclBenchError(f"--check takes --method and --dataset only, not --{next(iter(options))}")
        _print_reports(path, method, dataset or [])
        return
    if method is None:
        raise IclBenchError("say how: --method closure, local or global; or --check what was added")
    with _progress("answers") as progress:
        bars: dict[str, Any] = {}

        def report(table: str, done: int, total: int) -> None:
            if table not in bars:
                bars[table] = progress.add_task(f"{table}, of {total:,}", total=total)
            progress.update(bars[table], completed=done)

        added = add(path, method, dataset or [], options, report)
    for table, rows in added.items():
        typer.echo(f"wrote {path / table} ({rows:,} documents)")


def _hops(text: str) -> tuple[int, int | None]:
    """`"2"` as (2, 2), `"1-3"` as (1, 3), `"2-"` as (2, None)."""
    least, dash, most = text.partition("-")
    if not least.isdecimal() or not (most.isdecimal() or not most):
        raise IclBenchError(f"--hops {text!r}: write the least and the most, such as 2, 1-3 or 2-")
    return int(least), int(most) if most else None if dash else int(least)


def _print_reports(path: Path, method: str | None, names: list[str]) -> None:
    from icl_bench.augment_check import check_augmented

    def percent(part: int, whole: int) -> str:
        return f"{part / whole:.1%}" if whole else "none"

    for found in check_augmented(path, method, names):
        typer.echo(f"{found.dataset}, {found.method}: {found.sentences:,} sentences in {found.documents:,} documents")
        parsed = {"entailed": found.entailed, "false": found.false, "stated already": found.stated}
        shares = ", ".join(f"{name} {percent(part, found.parsed)}" for name, part in parsed.items())
        typer.echo(f"  parsed {percent(found.parsed, found.sentences)}; of these {shares}")
        recall = ", ".join(f"{kind} {percent(*counts)}" for kind, counts in found.recall.items())
        typer.echo(f"  of the facts that questions ask for, now stated: {recall}")


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
    set_: Annotated[list[str] | None, SET] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write the training documents of a dataset as examples to fine-tune on, whole or split into sentences.

    For example: icl-bench training-text syllogism --splitting cumulative --format messages --out train.jsonl
    """
    from icl_bench.training import Format, Splitting, write_training_text

    fields = fields_of(set_ or [])
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
    figure: Annotated[Path | None, typer.Option(help="A file for the figure, such as demo.png.")] = None,
) -> None:
    """Generate a fresh world, audit it, and score two learners on it: one that copies, and a small transformer."""
    from icl_bench.demo import demo as run

    raise typer.Exit(0 if run(seed, out, figure) else 1)


app.command()(study)
app.command()(report)


def main() -> None:
    """Run the command line; every foreseen error is one line on stderr and exit status 2."""
    try:
        app()
    except IclBenchError as error:
        sys.stderr.write(f"icl-bench: {' '.join(str(error).split())}\n")
        sys.exit(2)
    except ModuleNotFoundError as error:
        sys.stderr.write(f"icl-bench: the package {error.name!r} is not installed; pip install 'icl_bench[eval]'\n")
        sys.exit(2)
