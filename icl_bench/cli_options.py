"""What several commands take: fields of datasets."""

from __future__ import annotations

from typing import Any

import typer
import yaml

from icl_bench.errors import IclBenchError

SET = typer.Option("--set", metavar="DATASET.FIELD=VALUE", help="A field of a dataset's configuration; repeatable.")


def fields_of(settings: list[str]) -> dict[str, dict[str, Any]]:
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
