"""The installed wheel, outside the checkout, makes the same bytes."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    name = subprocess.run(
        [sys.executable, "-c", build, str(out)], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    return out / name


def test_the_wheel_holds_templates_cards_tasks_and_data(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "icl_bench/templates/reversal/documents.txt",
        "icl_bench/templates/training/instruction.txt",
        "icl_bench/templates/augment/reading.yaml",
        "icl_bench/data_cards/card.md",
        "icl_bench/tasks/icl_bench.yaml",
        "icl_bench/data/reversal/test.parquet",
        "icl_bench/worlds/ontology.yaml",
        "icl_bench/words.txt",
        "icl_bench/reference_learner/model.safetensors",
        "icl_bench/reference_learner/tokenizer.json",
        "icl_bench/README.md",
    ):
        assert name in names
    assert not any(name.startswith(("tests/", "scripts/")) for name in names)


def test_the_installed_wheel_makes_the_same_bytes(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import icl_bench, icl_bench.generate as g; from pathlib import Path; "
        "g.generate([], 0, Path('world')); print(icl_bench.__file__)"
    )
    # -I would drop PYTHONPATH; the wheel comes before the checkout, which is installed for development
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == str(tmp_path / "site" / "icl_bench" / "__init__.py")
    for path in sorted((ROOT / "icl_bench" / "data").rglob("*.parquet")):
        made = tmp_path / "world" / path.relative_to(ROOT / "icl_bench")
        assert pq.read_table(made).equals(pq.read_table(path))
    made, released = (json.loads((f / "manifest.json").read_text()) for f in (tmp_path / "world", ROOT / "icl_bench"))
    hashes = [{path: entry["rows_sha256"] for path, entry in m["tables"].items()} for m in (made, released)]
    assert hashes[0] == hashes[1]
