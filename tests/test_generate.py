"""Folders of tables: what is written, what is refused, and that nothing is left half done."""

import hashlib
import json
import os
import stat
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest

import icl_bench
from icl_bench import WORLDS, IclBenchError, build, load_dataset
from icl_bench.generate import generate
from icl_bench.tables import read_manifest, read_table

PACKAGE = Path(icl_bench.__file__).parent
SMALL = {"reversal": {"facts": 4, "documents_per_fact": 2}}


def same_writer(one, other):
    """The bytes of a Parquet file depend on the version of pyarrow, its rows do not."""
    return pq.read_metadata(one).created_by == pq.read_metadata(other).created_by


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_folder_and_its_manifest(tmp_path):
    generate(["reversal", "syllogism"], 5, tmp_path / "world", SMALL)
    manifest = read_manifest(tmp_path / "world")
    assert manifest["seed"] == 5
    assert manifest["icl_bench"] == icl_bench.__version__
    assert manifest["datasets"]["reversal"]["config"] == {
        "facts": 4,
        "features": 28,
        "documents_per_fact": 2,
        "reverse_fraction": 0.0,
    }
    assert set(manifest["tables"]) == {
        f"data/{name}/{split}.parquet"
        for name, splits in [
            ("reversal", ("train", "validation", "test")),
            ("reversal_facts", ("facts",)),
            ("syllogism", ("train", "validation", "test")),
            ("syllogism_facts", ("facts",)),
        ]
        for split in splits
    }
    for path, entry in manifest["tables"].items():
        file = tmp_path / "world" / path
        assert hashlib.sha256(file.read_bytes()).hexdigest() == entry["sha256"]
        rows = read_table(file, Path(path).stem).to_pylist()
        lines = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
        assert hashlib.sha256(lines.encode()).hexdigest() == entry["rows_sha256"]
        assert len(rows) == entry["rows"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["world"]


@pytest.mark.parametrize("name", WORLDS)
def test_seed_0_is_the_released_data_to_the_byte(name, tmp_path):
    generate([name], 0, tmp_path / "again")
    released, again = read_manifest(PACKAGE), read_manifest(tmp_path / "again")
    assert released["datasets"][name] == again["datasets"][name]
    for path, entry in again["tables"].items():
        assert entry["rows_sha256"] == released["tables"][path]["rows_sha256"]
        if same_writer(PACKAGE / path, tmp_path / "again" / path):
            assert (PACKAGE / path).read_bytes() == (tmp_path / "again" / path).read_bytes()


def test_two_runs_write_the_same_bytes(tmp_path):
    for folder in ("one", "two"):
        generate(["reversal"], 3, tmp_path / folder, SMALL)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


@pytest.mark.parametrize("name", [*WORLDS, *(f"{name}_facts" for name in WORLDS)])
def test_datasets_reads_the_checkout(name, tmp_path):
    theirs = datasets.load_dataset(str(PACKAGE), name, cache_dir=str(tmp_path))
    ours = load_dataset(name)
    assert set(theirs) == set(ours)
    for split in ours:
        assert theirs[split].features == ours[split].features
        assert list(theirs[split]) == list(ours[split])


def test_the_card_says_what_is_there():
    card = (PACKAGE / "README.md").read_text()
    for name in WORLDS:
        assert f"## {name}" in card
        for row in load_dataset(name)["test"].select(range(1)):
            assert row["id"] in card
    builder = datasets.load_dataset_builder(str(PACKAGE), "reversal")
    assert builder.info.splits["train"].num_examples == 1000


def test_load_dataset_of_a_seed_is_what_build_makes():
    rows = load_dataset("reversal", seed=7, facts=10)
    assert rows["test"]["id"] == [row.id for row in build("reversal", 7, {"facts": 10}).rows("test")]
    assert len(load_dataset("reversal_facts", seed=7, facts=10)["facts"]) == 20
    assert rows["test"]["id"] != load_dataset("reversal", seed=8, facts=10)["test"]["id"]


def test_load_dataset_reads_a_folder_anew_each_time(tmp_path):
    generate(["reversal"], 1, tmp_path / "world", SMALL)
    first = load_dataset("reversal", path=tmp_path / "world")["test"]["id"]
    generate(["reversal"], 2, tmp_path / "world", SMALL)
    assert load_dataset("reversal", path=tmp_path / "world")["test"]["id"] != first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "reversals"}, "there is no dataset 'reversals'; there are reversal, reversal_facts"),
        ({"name": "reversal", "fact": 3}, "reversal has no field 'fact'"),
        ({"name": "reversal", "path": "nowhere/at/all"}, "there is no folder 'nowhere/at/all'"),
        ({"name": "reversal", "path": ".", "seed": 3}, "path = '.' holds finished tables"),
        ({"name": "reversal", "path": "tests"}, "has no manifest.json"),
    ],
)
def test_what_load_dataset_refuses(arguments, message, monkeypatch):
    monkeypatch.chdir(PACKAGE.parent)
    with pytest.raises(IclBenchError, match=message):
        load_dataset(**arguments)


def test_a_dataset_that_a_folder_does_not_hold(tmp_path):
    generate(["reversal"], 1, tmp_path / "world", SMALL)
    with pytest.raises(IclBenchError, match="holds no dataset 'syllogism'"):
        load_dataset("syllogism", path=tmp_path / "world")


def test_a_damaged_table(tmp_path):
    generate(["reversal"], 1, tmp_path / "world", SMALL)
    file = tmp_path / "world" / "data" / "reversal" / "test.parquet"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(IclBenchError, match=r"test.parquet is not a readable Parquet file"):
        load_dataset("reversal", path=tmp_path / "world")
    file.unlink()
    with pytest.raises(IclBenchError, match=r"test.parquet is missing"):
        load_dataset("reversal", path=tmp_path / "world")


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    before = tree(tmp_path)
    with pytest.raises(IclBenchError, match="exists and was not made by icl-bench generate"):
        generate(["reversal"], 0, tmp_path / "mine", SMALL)
    assert tree(tmp_path) == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(IclBenchError, match="exists and was not made by"):
        generate(["reversal"], 0, tmp_path / "file", SMALL)
    assert (tmp_path / "file").read_text() == "x"


def test_a_folder_of_ours_is_replaced_and_other_files_in_it_are_kept(tmp_path):
    generate(["reversal", "syllogism"], 0, tmp_path / "world", SMALL)
    (tmp_path / "world" / "notes.txt").write_text("mine")
    generate(["reversal"], 1, tmp_path / "world", SMALL)
    assert (tmp_path / "world" / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in (tmp_path / "world" / "data").iterdir()) == ["reversal", "reversal_facts"]
    assert sorted(path.name for path in (tmp_path / "world").iterdir()) == ["README.md", "data", "manifest.json", "notes.txt"]


def test_an_empty_folder_may_be_filled(tmp_path):
    generate(["reversal"], 0, tmp_path, SMALL)
    assert (tmp_path / "manifest.json").exists()


@pytest.mark.parametrize(
    ("names", "fields", "message"),
    [
        (["reversl"], {}, "there is no dataset 'reversl'"),
        (["reversal"], {"reversal": {"facts": -1}}, "reversal.facts = -1"),
        (["reversal"], {"syllogism": {"syllogisms": 3}}, "fields are set for 'syllogism', which is not generated"),
        (["reversal"], {"reversal": {"facts": 10**9}}, "a world of this size needs 2000000000 words"),
    ],
)
def test_bad_input_leaves_nothing_behind(tmp_path, names, fields, message):
    with pytest.raises(IclBenchError, match=message):
        generate(names, 0, tmp_path / "world", fields)
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_nothing_behind(tmp_path):
    def interrupt(table, rows):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(["reversal"], 0, tmp_path / "world", SMALL, interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(IclBenchError, match="cannot write to"):
        generate(["reversal"], 0, tmp_path / "file" / "world", SMALL)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(IclBenchError, match="cannot write to"):
        generate(["reversal"], 0, tmp_path / "world", SMALL)


def test_progress_counts_the_rows_of_every_table(tmp_path):
    seen = {}
    generate(["reversal"], 0, tmp_path / "world", SMALL, seen.__setitem__)
    assert seen == {path: entry["rows"] for path, entry in read_manifest(tmp_path / "world")["tables"].items()}


def test_a_failure_while_replacing_leaves_the_old_folder(tmp_path, monkeypatch):
    generate(["reversal"], 0, tmp_path / "world", SMALL)
    before = tree(tmp_path)
    replace = Path.replace

    def fails_at_the_card(self, target):
        if Path(target) == tmp_path / "world" / "README.md" and self.parent != tmp_path / "world" and "old" not in self.parts:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails_at_the_card)
    with pytest.raises(IclBenchError, match="No space left on device"):
        generate(["reversal"], 1, tmp_path / "world", SMALL)
    monkeypatch.undo()
    assert tree(tmp_path) == before
