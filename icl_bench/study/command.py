"""The commands `icl-bench study` and `icl-bench report`."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from icl_bench.cli_options import SET, fields_of
from icl_bench.errors import IclBenchError

_NEEDED = "pip install 'icl_bench[study]'"


def study(
    out: Annotated[Path | None, typer.Option(help="Folder of the study. One that was interrupted goes on.")] = None,
    model: Annotated[str | None, typer.Option(help="A causal model of transformers: a folder, or a name on the Hub.")] = None,
    datasets: Annotated[str | None, typer.Option(help="Separated by commas: reversal,semantic_structure.")] = None,
    conditions: Annotated[
        str | None, typer.Option(help="pretrained, in_context, finetuned, augmented (these by default), oracle.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Of worlds and of training: 0,1,2. Default 0.")] = None,
    set_: Annotated[list[str] | None, SET] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML file of settings, as study/defaults.yaml.")] = None,
    documents: Annotated[
        list[str] | None, typer.Option(metavar="[DATASET=]N", help="in_context: the first N documents; repeatable.")
    ] = None,
    documents_curve: Annotated[
        str | None, typer.Option(help="in_context with each of these smaller numbers as well: 10,30,100.")
    ] = None,
    oracle: Annotated[int | None, typer.Option(help="oracle: N random documents beside those that prove the answer.")] = None,
    splitting: Annotated[str | None, typer.Option(help="none, independent or cumulative: what an example is.")] = None,
    lora: Annotated[bool | None, typer.Option("--lora/--full", help="Train matrices of low rank, or all weights.")] = None,
    method: Annotated[str | None, typer.Option(help="Of augmentation: closure, or local, global by the model itself.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of training, for all datasets.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="At its highest.")] = None,
    gradient_checkpointing: Annotated[
        bool | None, typer.Option("--gradient-checkpointing", help="Less memory in training, more time.")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="auto, bfloat16 or float32. auto: bfloat16 where the GPU has it.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Run nothing: print tokens, memory and time of every cell.")] = False,
) -> None:
    """Reproduce the protocol on a model: worlds, training, scores, report. The same command goes on where it was stopped.

    For example: icl-bench study --model Qwen/Qwen3-0.6B-Base --datasets reversal --seeds 0,1,2 --out runs/qwen
    """
    if out is None and not plan:
        raise IclBenchError("--out is not said; give a folder for the study")
    from icl_bench.study.settings import settings
    from icl_bench.worlds import WORLDS

    training = {
        "splitting": splitting,
        "lora": lora,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "gradient_checkpointing": gradient_checkpointing,
    }
    given: dict[str, Any] = {
        "model": model,
        "datasets": _names(datasets),
        "conditions": _names(conditions),
        "seeds": _integers("--seeds", seeds),
        "documents": _documents(documents or []),
        "documents_curve": _integers("--documents-curve", documents_curve),
        "oracle": oracle,
        "precision": precision,
        "fields": fields_of(set_) if set_ else None,
        "training": {name: value for name, value in training.items() if value is not None},
        "augmentation": {"method": method} if method else {},
    }
    if steps is not None:
        given["training"] |= {"steps": dict.fromkeys(WORLDS, steps), "steps_augmented": dict.fromkeys(WORLDS, steps)}
    chosen = settings({name: value for name, value in given.items() if value is not None}, config)
    try:
        from icl_bench.study import plan as planning
        from icl_bench.study.progress import Display
        from icl_bench.study.run import study as run
    except ModuleNotFoundError as error:
        raise IclBenchError(f"a study needs the package {error.name!r}; {_NEEDED}") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries
        if out is None or plan:
            typer.echo(planning.table(chosen, *planning.plan(chosen)), nl=False)
            return
        run(chosen, out, Display(Console(file=sys.stderr)))
    typer.echo(f"wrote {out / 'report.md'} and {out / 'results.json'}")


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of studies.")],
    out: Annotated[Path | None, typer.Option(help="A file to write instead of the standard output.")] = None,
) -> None:
    """Lay studies side by side, as Markdown.

    For example: icl-bench report runs/* --out models.md
    """
    try:
        from icl_bench.study.report import side_by_side
    except ModuleNotFoundError as error:
        raise IclBenchError(f"a report needs the package {error.name!r}; {_NEEDED}") from None
    finished = [folder for folder in runs if (folder / "results.json").is_file()]
    for folder in runs:
        if folder.is_dir() and folder not in finished:
            typer.echo(f"{folder} has no results.json yet and is left out", err=True)
    text = side_by_side(finished or runs)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise IclBenchError(f"cannot write {out}: {error.strerror}; choose another --out") from None
    typer.echo(f"wrote {out}")


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _documents(texts: list[str]) -> dict[str, int] | None:
    """`["100", "process=20"]` as a number for each dataset."""
    from icl_bench.worlds import WORLDS

    numbers: dict[str, int] = {}
    for text in texts:
        dataset, _, number = text.rpartition("=")
        if not number.isdecimal():
            raise IclBenchError(f"--documents {text}: write a number, or dataset=number, such as 100 or process=100")
        numbers |= {dataset: int(number)} if dataset else dict.fromkeys(WORLDS, int(number))
    return numbers or None


def _integers(option: str, text: str | None) -> list[int] | None:
    names = _names(text)
    try:
        return None if names is None else [int(name) for name in names]
    except ValueError:
        raise IclBenchError(f"{option} {text}: write integers separated by commas, such as 0,1,2") from None
