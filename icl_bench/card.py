"""The dataset card of a folder of tables: `README.md` with the metadata that `datasets` reads, from `data_cards/`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from icl_bench.errors import IclBenchError
from icl_bench.rendering import Template
from icl_bench.shallow import baselines, one_hop_apart
from icl_bench.tables import docstrings, read_table, schema_of
from icl_bench.version import __version__

_MOST_ROWS = 50_000  # beyond this, shallow baselines are left to `icl-bench audit`


def cards_folder() -> Path:
    """Where the texts are: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "data_cards"
    return installed if installed.is_dir() else package.parent / "data_cards"


def _text(name: str, values: dict[str, str]) -> str:
    source = (cards_folder() / f"{name}.md").read_text(encoding="utf-8")
    return Template(source).fill(values)


def _metadata(folder: Path, manifest: dict[str, Any], new: Mapping[str, Path]) -> str:
    """The YAML front matter: which file is which split, and the features of each."""
    from datasets import Features

    configs: dict[str, list[dict[str, str]]] = {}
    info: dict[str, dict[str, Any]] = {}
    total = 0
    for path, entry in manifest["tables"].items():
        _, config, file = Path(path).parts
        split = Path(file).stem
        size = new.get(path, folder / path).stat().st_size
        configs.setdefault(config, []).append({"split": split, "path": path})
        described = info.setdefault(
            config,
            {
                "config_name": config,
                "features": Features.from_arrow_schema(schema_of(split))._to_yaml_list(),
                "splits": [],
                "download_size": 0,
                "dataset_size": 0,
            },
        )
        described["splits"].append({"name": split, "num_bytes": entry["bytes"], "num_examples": entry["rows"]})
        described["download_size"] += size
        described["dataset_size"] += entry["bytes"]
        total += entry["rows"]
    sizes = [("n<1K", 10**3), ("1K<n<10K", 10**4), ("10K<n<100K", 10**5), ("100K<n<1M", 10**6), ("1M<n<10M", 10**7)]
    metadata = {
        "pretty_name": "icl_bench",
        "license": "apache-2.0",
        "language": ["en"],
        "annotations_creators": ["machine-generated"],
        "language_creators": ["machine-generated"],
        "multilinguality": ["monolingual"],
        "source_datasets": ["original"],
        "task_categories": ["question-answering", "multiple-choice", "text-generation"],
        "tags": ["in-context-learning", "fine-tuning", "generalization", "reversal-curse", "reasoning", "synthetic"],
        "size_categories": [next((name for name, most in sizes if total < most), "n>10M")],
        "configs": [
            {"config_name": name, "data_files": files, **({"default": True} if i == 0 else {})}
            for i, (name, files) in enumerate(configs.items())
        ],
        "dataset_info": list(info.values()),
    }
    return yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=120)


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _example(folder: Path, name: str) -> str:
    parts = []
    for split in ("train", "validation", "test"):
        table = read_table(folder / "data" / name / f"{split}.parquet", split)
        if table.num_rows:
            row = {key: value for key, value in table.slice(0, 1).to_pylist()[0].items() if value is not None}
            parts.append(f"`{split}`:\n```json\n{json.dumps(row, indent=1, ensure_ascii=False)}\n```")
    return "\n\n".join(parts)


def _measured(folder: Path, name: str, manifest: dict[str, Any]) -> tuple[str, str]:
    """Two tables: questions and chance of every kind; what shallow learners reach on `test`."""
    rows = sum(manifest["tables"][f"data/{name}/{split}.parquet"]["rows"] for split in ("train", "validation", "test"))
    columns = ["kind", "answer", "choices", "hops"]
    kinds: dict[tuple[str, str], list[float]] = {}
    hops: dict[tuple[str, str], set[int]] = {}
    for split in ("validation", "test"):
        for row in read_table(folder / "data" / name / f"{split}.parquet", split).select(columns).to_pylist():
            kinds.setdefault((split, row["kind"]), []).append(len(row["answer"]) / len(row["choices"]))
            hops.setdefault((split, row["kind"]), set()).add(row["hops"])
    chance = _table(
        ["split", "kind", "questions", "chance", "hops"],
        [
            [
                split,
                kind,
                str(len(shares)),
                f"{sum(shares) / len(shares):.3f}",
                ", ".join(map(str, sorted(hops[split, kind]))),
            ]
            for (split, kind), shares in kinds.items()
        ],
    )
    if rows > _MOST_ROWS:
        return chance, f"Not measured for a dataset of {rows} rows; `icl-bench audit` does."
    train = read_table(folder / "data" / name / "train.parquet", "train").to_pylist()
    test = read_table(folder / "data" / name / "test.parquet", "test").to_pylist()
    shallow = _table(
        ["kind", "learner", "accuracy", "chance", "standard error"],
        [
            [b.kind, b.name, f"{b.accuracy:.3f}", f"{b.chance:.3f}", f"{b.standard_error:.3f}"]
            for b in baselines(train, one_hop_apart(test))
        ],
    )
    return chance, shallow


def _augmented(manifest: dict[str, Any]) -> str:
    rows = []
    for table, options in manifest["augmented"].items():
        config, split = Path(table).parts[1:]
        given = ", ".join(f"{key}={value}" for key, value in options.items() if value is not None and value != "")
        rows.append([f"`{config}`", f"`{Path(split).stem}`", str(manifest["tables"][table]["rows"]), f"`{given}`"])
    return _text("augmented", {"augmented": _table(["dataset", "split", "documents", "made with"], rows)}).rstrip("\n")


def card(folder: Path, manifest: dict[str, Any], new: Mapping[str, Path] | None = None) -> str:
    """The card of a folder whose tables are written.

    Args:
        new: tables that are not yet in the folder -> where they are.

    Raises:
        IclBenchError: a dataset has no text in `data_cards/`.
    """
    sections = []
    for name, entry in manifest["datasets"].items():
        if not (cards_folder() / f"{name}.md").exists():
            raise IclBenchError(f"data_cards/{name}.md is missing; every dataset needs a card")
        chance, shallow = _measured(folder, name, manifest)
        values = {
            "name": name,
            "documents": str(manifest["tables"][f"data/{name}/train.parquet"]["rows"]),
            "facts": str(manifest["tables"][f"data/{name}_facts/facts.parquet"]["rows"]),
            "covered": str(entry["covered"]),
            "config": json.dumps(entry["config"]),
            "chance": chance,
            "shallow": shallow,
            "example": _example(folder, name),
        }
        sections.append(_text(name, values) + "\n" + _text("dataset", values))
    if manifest.get("augmented"):
        sections.append(_augmented(manifest))

    def columns(split: str) -> str:
        meanings = docstrings(split)
        return _table(["column", "type", "meaning"], [[f"`{f.name}`", str(f.type), meanings[f.name]] for f in schema_of(split)])

    body = _text(
        "card",
        {
            "version": __version__,
            "seed": str(manifest["seed"]),
            "row_columns": columns("train"),
            "fact_columns": columns("facts"),
            "sections": "\n\n".join(sections),
        },
    )
    return f"---\n{_metadata(folder, manifest, new or {})}---\n\n{body}"
