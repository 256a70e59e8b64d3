"""results.json: all that a study found and on what, from its finished cells."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from icl_bench.errors import IclBenchError
from icl_bench.study.cells import finished, write_json
from icl_bench.study.statistics import by, over_documents, over_steps, paired_tests, summary, with_decided

RESULTS = "results.json"
_PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "lm_eval", "datasets", "scipy", "numpy")


def write_results(out: Path, study: Mapping[str, Any]) -> dict[str, Any]:
    """Put the finished cells of a folder together.

    Args:
        study: what is the same for all cells (`study.json`).

    Returns:
        What is in the file. `times` are seconds since a cell was last begun. Nothing else differs between two runs on the same
        machine without a GPU; GPUs add in different orders.
    """
    answers, contexts, cells, data, times = {}, [], [], {}, {}
    environments: dict[str, list[str]] = {}
    for cell in finished(out):
        questions, facts = with_decided(cell.questions(out)), cell.facts(out)
        if cell.first is None:
            answers[cell.dataset, cell.condition, cell.seed] = questions
        if cell.condition == "in_context":
            contexts.append((cell.dataset, cell.seed, facts["documents"], questions))
        times[str(cell)] = facts.pop("seconds")
        data[f"{cell.dataset}/{cell.seed}"] = facts.pop("data_sha256")
        environments.setdefault(json.dumps(facts.pop("environment")), []).append(str(cell))
        cells.append(facts)
    results = {
        **study,
        "settings_sha256": sha256(json.dumps(study["settings"], sort_keys=True).encode()).hexdigest(),
        "data_sha256": data,
        "seeds": sorted({seed for _, _, seed in answers}),
        "environments": [{**json.loads(text), "cells": names} for text, names in environments.items()],
        "summary": summary(answers),
        "tests": paired_tests(answers),
        "by_relation": by("relation", answers),
        "by_hops": by("hops", answers),
        "over_documents": over_documents(contexts),
        "over_steps": over_steps((cell["dataset"], cell["condition"], cell["validation"]) for cell in cells),
        "cells": cells,
        "times": times,
    }
    write_json(out / RESULTS, results)
    return results


def environment() -> dict[str, Any]:
    """Versions and hardware."""
    import torch

    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        "system": platform.system(),
        "machine": platform.machine(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "threads": torch.get_num_threads(),
    }


def read_results(out: Path) -> dict[str, Any]:
    """What `write_results` wrote.

    Raises:
        IclBenchError: the folder holds no results, or they are damaged.
    """
    path = out / RESULTS
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise IclBenchError(f"{out} has no {RESULTS}; give the --out of an icl-bench study") from None
    except (OSError, ValueError) as error:
        raise IclBenchError(f"{path} cannot be read: {error}; run the study again") from None
    if not isinstance(found, dict) or not {"model", "summary", "tests", "over_steps", "environments"} <= set(found):
        raise IclBenchError(f"{path} holds no results of a study; give the --out of an icl-bench study")
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
