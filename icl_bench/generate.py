"""`generate`: worlds of a seed as a folder of tables with manifest and card, all of it or nothing."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from icl_bench.build import SPLITS, build
from icl_bench.card import card
from icl_bench.errors import IclBenchError
from icl_bench.tables import MANIFEST, config_of, read_manifest, write_table
from icl_bench.version import __version__
from icl_bench.worlds import WORLDS

T = TypeVar("T")
PARTS = ("data", "README.md", MANIFEST)
"""What a folder of tables holds."""
Progress = Callable[[str, int], None]
"""Called with the name of a table and the number of rows written to it so far."""


def generate(
    names: Sequence[str],
    seed: int,
    out: Path,
    fields: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Progress = lambda table, rows: None,
) -> None:
    """Write a folder of tables. In a folder that `generate` made before, data/, README.md and manifest.json are replaced.

    Args:
        names: datasets; none means all.
        fields: dataset -> fields that are not to have their defaults.

    Raises:
        IclBenchError: an unknown dataset or field, a value that does not fit, a folder that cannot be written or that
            `generate` did not make. Nothing is left behind.
    """
    names = list(dict.fromkeys(names)) or list(WORLDS)
    fields = fields or {}
    unused = sorted(set(fields) - set(names))
    if unused:
        raise IclBenchError(f"fields are set for {unused[0]!r}, which is not generated; datasets are {', '.join(names)}")
    made = {name: build(name, seed, fields.get(name)) for name in names}
    try:
        _refuse_foreign(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise IclBenchError(f"cannot write to {out.parent}: {error.strerror}; choose another --out") from None
    try:
        manifest: dict[str, Any] = {"icl_bench": __version__, "seed": seed, "datasets": {}, "tables": {}}
        for name, dataset in made.items():
            manifest["datasets"][name] = {
                "config": dataset.config.model_dump(),
                "rules": [str(rule) for rule in dataset.world.rules],
                "checker": dataset.world.checker,
                "covered": dataset.covered,
            }
            for split in (*SPLITS, "facts"):
                table = f"data/{config_of(name, split)}/{split}.parquet"
                rows = _counted(dataset.rows(split), table, progress)
                manifest["tables"][table] = write_table(rows, scratch / table, split)
        (scratch / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        (scratch / "README.md").write_text(card(scratch, manifest), encoding="utf-8")
        scratch.chmod(0o755)
        _put_in_place(scratch, out)
    except OSError as error:
        raise IclBenchError(f"cannot write {out}: {error.strerror}; choose another --out, or make room") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _counted(rows: Iterable[T], table: str, progress: Progress) -> Iterator[T]:
    total = 0
    for total, row in enumerate(rows, 1):
        if total % 1000 == 0:
            progress(table, total)
        yield row
    progress(table, total)


def _refuse_foreign(out: Path) -> None:
    """Raise IclBenchError if `out` holds what `generate` did not write; OSError if it cannot be looked at."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        if out.is_dir():
            read_manifest(out)
            return
    except IclBenchError:
        pass
    raise IclBenchError(f"{out} exists and was not made by icl-bench generate; choose another --out, or remove it")


def _put_in_place(scratch: Path, out: Path) -> None:
    """Rename what was written to where it belongs: a new folder at once, in an old one part by part."""
    if not out.exists() or not any(out.iterdir()):
        scratch.replace(out)
        return
    old = scratch / "old"
    old.mkdir()
    try:
        for part in PARTS:
            if (out / part).exists():
                (out / part).replace(old / part)
            (scratch / part).replace(out / part)
    except BaseException:
        for part in PARTS:  # as it was
            if (old / part).exists():
                if (out / part).exists():
                    (out / part).replace(scratch / part)
                (old / part).replace(out / part)
        raise
