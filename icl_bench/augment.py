"""`augment`: further training documents in a folder that `generate` made, as the split `augmented_<method>` of each dataset.

closure   what follows, in documents of one sentence               augment_closure.py
local     what a model makes of each sentence                      augment_model.py
global    what a model infers from all documents at once           augment_model.py
--check   how true such documents are                              augment_check.py

load_dataset(folder, "reversal", split="train+augmented_closure")
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from icl_bench.augment_closure import ClosureOptions, closure_documents
from icl_bench.augment_world import METHODS, augmented_table, chosen, documents, source
from icl_bench.card import card
from icl_bench.errors import IclBenchError
from icl_bench.schema import Document
from icl_bench.tables import MANIFEST, write_table

Progress = Callable[[str, int, int], None]
"""Called with the name of a table, the number of requests that are answered, and of all."""


def augment(
    folder: Path,
    method: str,
    names: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    progress: Progress = lambda table, done, total: None,
) -> dict[str, int]:
    """Add augmented documents to a folder; those of the same method are replaced. All datasets or, on an error, none.

    Args:
        method: closure, local or global.
        names: datasets; none means all of the folder.
        options: fields of `ClosureOptions`, or of `ModelOptions` for local and global.

    Returns:
        Table -> how many documents it has.

    Raises:
        IclBenchError: an unknown method, dataset or option, a folder that is not ours or cannot be written, a model that
            fails, a dataset that cannot be augmented.
    """
    folder = Path(folder)
    if method not in METHODS:
        raise IclBenchError(f"there is no method {method!r}; methods are {', '.join(METHODS)}")
    manifest, datasets = chosen(folder, names)
    if method == "closure":
        given = ClosureOptions.of(method, options or {})
        used = given.model_dump(mode="json", exclude_defaults=True)
        made = {name: closure_documents(source(folder, manifest, name), given) for name in datasets}
    else:
        make, used = _by_model(folder, manifest, method, options or {}, progress)
        made = {name: make(name) for name in datasets}
    tables = {augmented_table(name, method): rows for name, rows in made.items()}
    for table, rows in tables.items():
        if not rows:
            raise IclBenchError(f"{folder / table}: the model wrote nothing; try another model, or other --gen_kwargs")
    _add(folder, manifest, tables, {"method": method, **used})
    return {table: len(rows) for table, rows in tables.items()}


def _by_model(
    folder: Path, manifest: dict[str, Any], method: str, options: Mapping[str, Any], progress: Progress
) -> tuple[Callable[[str], list[Document]], dict[str, Any]]:
    """How a model makes documents, and the options that are no secret."""
    try:
        from icl_bench.augment_model import ModelOptions, model_documents, public, starter
    except ImportError as error:
        raise IclBenchError(f"{method} needs lm-evaluation-harness ({error}): pip install 'icl_bench[eval]'") from None
    if not options.get("model"):
        raise IclBenchError(f"{method} needs a model: --model hf --model_args pretrained=..., or another model of lm-eval")
    given = ModelOptions.of(method, options)
    start = starter(given)

    def make(name: str) -> list[Document]:
        def report(done: int, total: int) -> None:
            progress(augmented_table(name, method), done, total)

        return model_documents(source(folder, manifest, name), documents(folder, manifest, name), method, given, start, report)

    shown = given.model_copy(update={"model_args": public(given.model_args)})
    return make, shown.model_dump(mode="json", exclude_defaults=True)


def _add(folder: Path, manifest: dict[str, Any], made: Mapping[str, Sequence[Document]], used: Mapping[str, Any]) -> None:
    """Write tables, manifest and card beside where they belong, and rename them."""
    try:
        scratch = Path(tempfile.mkdtemp(prefix=".augment.", dir=folder))
    except OSError as error:
        raise IclBenchError(f"cannot write to {folder}: {error.strerror}; make it writable") from None
    try:
        tables, origins = dict(manifest["tables"]), dict(manifest.get("augmented", {}))
        for table, rows in made.items():
            tables[table] = write_table(rows, scratch / table, "train")
            origins[table] = dict(used)
        # the same bytes in whatever order methods were run
        tables = dict(sorted(tables.items(), key=lambda item: item[0] if item[0] in origins else ""))
        new = {**manifest, "tables": tables, "augmented": dict(sorted(origins.items()))}
        (scratch / MANIFEST).write_text(json.dumps(new, indent=1) + "\n", encoding="utf-8")
        (scratch / "README.md").write_text(card(folder, new, {table: scratch / table for table in made}), encoding="utf-8")
        for part in (*made, MANIFEST, "README.md"):
            (scratch / part).replace(folder / part)
    except OSError as error:
        raise IclBenchError(f"cannot write to {folder}: {error.strerror}; make it writable, or make room") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
