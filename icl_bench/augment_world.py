"""The world of a folder of tables, sampled again: what its wordings are, and what follows in it.

The tables say what is true; how it may be worded, only the world knows. That it is the same world, the manifest's hash proves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from icl_bench.audit_checkers import CHECKERS
from icl_bench.build import build
from icl_bench.errors import IclBenchError
from icl_bench.known import Known
from icl_bench.schema import Fact, FactRow, World
from icl_bench.tables import config_of, file_sha256, read_manifest, read_table, rows_sha256
from icl_bench.version import __version__

METHODS = ("closure", "local", "global")


class Source(NamedTuple):
    """One dataset of a folder."""

    folder: Path
    name: str
    world: World
    facts: dict[Fact, FactRow]
    """what is true in it, as the table of facts has it"""
    known: Known
    """all that is true in it"""


def known(world: World, facts: Iterable[Fact]) -> Known:
    """All that is true in a world, by the logic that it follows.

    Args:
        facts: its table of facts.
    """
    return CHECKERS[world.checker].known(facts)


def augmented_table(name: str, method: str) -> str:
    """Where the documents of a method are: `data/reversal/augmented_closure.parquet`."""
    return f"data/{name}/augmented_{method}.parquet"


def chosen(folder: Path, names: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The manifest of a folder and the datasets to work on: the named ones, or all.

    Raises:
        IclBenchError: the folder was not made by `generate`, or holds no such dataset.
    """
    manifest = read_manifest(folder)
    for name in names:
        if name not in manifest["datasets"]:
            raise IclBenchError(f"{folder} holds no dataset {name!r}; it holds {', '.join(manifest['datasets'])}")
    return manifest, list(dict.fromkeys(names)) or list(manifest["datasets"])


def source(folder: Path, manifest: dict[str, Any], name: str) -> Source:
    """Sample the world of a dataset again, from the seed and the configuration in the manifest.

    Raises:
        IclBenchError: it comes out different from the folder's table of facts.
    """
    made = build(name, manifest["seed"], manifest["datasets"][name]["config"])
    rows = [row for row in made.rows("facts") if isinstance(row, FactRow)]
    table = f"data/{config_of(name, 'facts')}/facts.parquet"
    if rows_sha256(rows, "facts") != manifest["tables"].get(table, {}).get("rows_sha256"):
        raise IclBenchError(
            f"{folder / table} is not what icl_bench {__version__} makes of seed {manifest['seed']} (it was made by version "
            f"{manifest['icl_bench']}); use that version, or generate the folder again"
        )
    facts = {Fact(row.relation, row.subject, row.object): row for row in rows}
    return Source(folder, name, made.world, facts, known(made.world, facts))


def documents(folder: Path, manifest: dict[str, Any], name: str, split: str = "train") -> list[dict[str, Any]]:
    """The rows of a split.

    Raises:
        IclBenchError: the file is not there or not the one that the manifest speaks of.
    """
    table = f"data/{name}/{split}.parquet"
    rows: list[dict[str, Any]] = read_table(folder / table, split).to_pylist()
    if file_sha256(folder / table) != manifest["tables"].get(table, {}).get("sha256"):
        raise IclBenchError(f"{folder / table} is not the file that the manifest speaks of; generate the folder again")
    return rows
