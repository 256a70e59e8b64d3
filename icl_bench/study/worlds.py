"""The tables of a cell, in a folder of the study: `worlds/reversal/0`, generated once, and augmented once.

Neither changes when a study is run again, and the hashes of the tables are in results.json.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from icl_bench.augment import augment
from icl_bench.augment_world import augmented_table
from icl_bench.generate import generate
from icl_bench.study.model import Source, device
from icl_bench.study.settings import Settings
from icl_bench.tables import MANIFEST, read_manifest


def world(out: Path, settings: Settings, dataset: str, seed: int) -> Path:
    """The folder of tables of a dataset and a seed, made if it is not there.

    Raises:
        IclBenchError: fields that do not fit, or a folder that cannot be written.
    """
    folder = out / "worlds" / dataset / str(seed)
    if not (folder / MANIFEST).is_file():
        fields = settings.fields.get(dataset)
        generate([dataset], seed, folder, {dataset: fields} if fields else None)
    return folder


def augmented(source: Source, folder: Path, settings: Settings, dataset: str) -> str:
    """The split of augmented documents in a folder of tables, made if it is not there.

    Raises:
        IclBenchError: an unknown option, a dataset that cannot be augmented so, a model that fails.
    """
    method = settings.augmentation.method
    if augmented_table(dataset, method) not in read_manifest(folder)["tables"]:
        options = dict(settings.augmentation.options.get(dataset, {}))
        if method != "closure":
            asked = f"pretrained={settings.model},device={device()},dtype={str(source.dtype).removeprefix('torch.')}"
            if revision := source.identity.get("commit"):
                asked += f",revision={revision}"
            options = {"model": "icl-hf", "model_args": asked, **options}
        augment(folder, method, [dataset], options)
    return f"augmented_{method}"


def data_sha256(folder: Path) -> str:
    """One hash of all that was generated, whatever wrote the files. Augmented documents have their own."""
    tables: dict[str, Any] = read_manifest(folder)["tables"]
    lines = [f"{name} {entry['rows_sha256']}" for name, entry in sorted(tables.items()) if "/augmented_" not in name]
    return sha256("\n".join(lines).encode()).hexdigest()


def augmented_sha256(folder: Path, settings: Settings, dataset: str) -> str:
    """The hash of the augmented documents."""
    table = augmented_table(dataset, settings.augmentation.method)
    return str(read_manifest(folder)["tables"][table]["rows_sha256"])
