"""`load_dataset`: any world as a `datasets.DatasetDict`, from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from icl_bench.build import SPLITS, build
from icl_bench.errors import IclBenchError
from icl_bench.tables import MANIFEST, config_of, read_manifest, read_table, to_arrow
from icl_bench.worlds import WORLDS

if TYPE_CHECKING:
    from datasets import DatasetDict

PACKAGE = Path(__file__).parent


def configs(names: list[str] | None = None) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The configurations of datasets: name -> (dataset, splits)."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for name in names or list(WORLDS):
        found[name] = (name, SPLITS)
        found[config_of(name, "facts")] = (name, ("facts",))
    return found


def load_dataset(name: str, seed: int = 0, path: str | Path | None = None, **config: Any) -> DatasetDict:
    """A dataset as `datasets.load_dataset` would give it.

    Args:
        name: a key of `WORLDS`, such as `reversal`, or one with `_facts`.
        seed: any integer; every seed is another world.
        path: a folder of tables, or a repository on the Hugging Face Hub, to read instead of generating.
        **config: fields of the dataset's configuration, such as `facts=1000`.

    Returns:
        `train` (documents), `validation` and `test` (questions); `facts` for a `_facts` name. Seed 0 without fields is the
        released data. A folder may hold `augmented_closure`, `augmented_local` and `augmented_global` (documents) as well.

    Raises:
        IclBenchError: unknown name or field, or a value that does not fit.
    """
    from datasets import Dataset, DatasetDict
    from datasets import load_dataset as load_from_hub

    known = configs()
    if name not in known:
        raise IclBenchError(f"there is no dataset {name!r}; there are {', '.join(known)}")
    dataset, splits = known[name]
    if path is not None and (seed or config):
        raise IclBenchError(f"path = {str(path)!r} holds finished tables: leave out seed and {', '.join(config) or 'fields'}")
    folder = None if path is None else Path(path)
    if folder is None and not seed and not config and (PACKAGE / MANIFEST).exists():
        folder = PACKAGE
    if folder is not None and folder.is_dir():
        manifest = read_manifest(folder)
        if dataset not in manifest["datasets"]:
            raise IclBenchError(f"{folder} holds no dataset {dataset!r}; generate it into a folder of its own")
        listed = [Path(table) for table in manifest["tables"]]
        splits += tuple(table.stem for table in listed if table.parts[1] == name and table.stem.startswith("augmented_"))
        tables = {split: read_table(folder / "data" / name / f"{split}.parquet", split) for split in splits}
    elif path is not None:
        if isinstance(path, Path) or str(path).count("/") != 1 or str(path).startswith((".", "/", "~")):
            raise IclBenchError(f"there is no folder {str(path)!r}; give a folder of tables or a Hub id like 'owner/name'")
        return load_from_hub(str(path), name)
    else:
        made = build(dataset, seed, config)
        tables = {split: to_arrow(made.rows(split), split) for split in splits}
    return DatasetDict({split: Dataset(table) for split, table in tables.items()})
