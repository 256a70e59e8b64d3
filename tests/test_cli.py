"""The command line, as a user meets it: in a process of its own."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from icl_bench import load_dataset, training_text

ROOT = Path(__file__).parent.parent
COMMAND = Path(sysconfig.get_path("scripts")) / "icl-bench"


def run(*arguments, cwd=None):
    command = [str(COMMAND)] if COMMAND.exists() else [sys.executable, "-c", "from icl_bench.cli import main; main()"]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=cwd)


def test_generate_then_audit_then_a_fault(tmp_path):
    made = run("generate", "reversal", "--seed", 7, "--out", tmp_path / "w", "--set", "reversal.facts=8")
    assert (made.returncode, made.stdout) == (0, f"wrote {tmp_path / 'w'} (seed 7)\n")
    good = run("audit", tmp_path / "w")
    assert good.returncode == 0
    assert "0 failed" in good.stdout
    manifest = tmp_path / "w" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"rows": 8', '"rows": 9'))
    bad = run("audit", tmp_path / "w")
    assert bad.returncode == 1
    assert "FAIL" in bad.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", "nothing", "--out", "w"], "there is no dataset 'nothing'"),
        (["generate", "--out", "w", "--set", "reversal.facts=0"], "reversal.facts = 0: Input should be greater than 0"),
        (["generate", "--out", "w", "--set", "facts=3"], "write it as dataset.field=value"),
        (["generate", "--out", "w", "--set", "reversal.facts=[1"], "is not a number, a word or a list"),
        (["generate", "--out", "w", "--set", "reversal.facts=2001-13-45"], "is not a number, a word or a list"),
        (["generate", "--out", "w", "--set", "reversal.facts=true"], "reversal.facts = True: Input should be a valid integer"),
        (["generate", "--out", "w" * 300], "cannot write"),
        (["eval", "--model", "icl-ngram", "--tasks", "nope"], "nope"),
        (["eval", "--config", "nofile.yaml"], "nofile.yaml"),
        (["generate", "--out", "w", "--set", "reversal.nothing=1"], "reversal has no field 'nothing'"),
        (["generate", "--out", "w", "--set", "semantic_structure.ontology=no.yaml"], "ontology no.yaml: cannot be read"),
        (["generate", "--out", "full"], "full exists and was not made by icl-bench generate"),
        (["audit", "full"], "manifest.json"),
        (["show", "reversal", "0000"], "reversal has no question with the id '0000'"),
        (["training-text", "reversal", "--out", "full/file"], "give a file that ends in .jsonl or .parquet"),
        (["training-text", "reversal", "--out", "t.jsonl", "--splitting", "some"], "split = 'some'; it is one of none, "),
        (["training-text", "reversal", "--out", "t.jsonl", "--format", "csv"], "format = 'csv'; it is one of text, "),
        (["training-text", "reversal", "--out", "t.jsonl", "--set", "syllogism.x=1"], "but the dataset is 'reversal'"),
        (["training-text", "reversal", "--out", "t.jsonl", "--splits", "test"], "is a question"),
        (["show", "reversal_facts"], "holds facts, not questions; show 'reversal'"),
    ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path, arguments, message):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == 2, result
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full"]


def test_augment_then_check(tmp_path):
    run("generate", "reversal", "--out", tmp_path / "w", "--set", "reversal.facts=8")
    made = run("augment", tmp_path / "w", "--method", "closure", "--wordings", 2, "--hops", "1-2", "--kinds", "reversal")
    table = tmp_path / "w" / "data" / "reversal" / "augmented_closure.parquet"
    assert (made.returncode, made.stdout) == (0, f"wrote {table} (16 documents)\n")
    checked = run("augment", tmp_path / "w", "--check", "--method", "closure")
    assert checked.stdout.splitlines() == [
        "reversal, closure: 16 sentences in 16 documents",
        "  parsed 100.0%; of these entailed 100.0%, false 0.0%, stated already 0.0%",
        "  of the facts that questions ask for, now stated: rephrase 0.0%, reversal 100.0%",
    ]
    for arguments, message in (
        (["--method", "closure", "--model", "hf"], "closure has no field 'model'"),
        (["--method", "closure", "--hops", "two"], "--hops 'two': write the least and the most, such as 2, 1-3 or 2-"),
        (["--method", "local"], "local needs a model"),
        (["--check", "--share", "0.5"], "--check takes --method and --dataset only, not --share"),
        ([], "say how: --method closure, local or global; or --check"),
    ):
        refused = run("augment", tmp_path / "w", *arguments)
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
        assert message in refused.stderr
    model = ["--method", "local", "--model", "icl-ngram", "--gen_kwargs", "max_gen_toks=20", "--count", "4"]
    assert run("augment", tmp_path / "w", *model).returncode == 0
    assert run("audit", tmp_path / "w").returncode == 0


@pytest.mark.parametrize(
    "arguments", [["generate"], ["generate", "--out"], ["nonsense"], ["generate", "--seed", "x", "--out", "w"]]
)
def test_usage_errors_are_status_2(tmp_path, arguments):
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["generate", "audit", "augment", "show", "training-text", "tasks", "demo"])
def test_help_explains(command):
    result = run(command, "--help")
    assert result.returncode == 0
    assert len(result.stdout.splitlines()) > 5


def test_show_prints_a_proof():
    row = next(row for row in load_dataset("semantic_structure")["test"] if row["hops"] == 3)
    result = run("show", "semantic_structure", row["id"])
    lines = result.stdout.splitlines()
    gold = next(line for line in lines if "gold" in line)
    assert row["claims"][row["answer"][0]] in gold
    assert "  Proof, 3 hops:" in lines
    assert sum("stated in" in line for line in lines) == 3


def test_training_text(tmp_path):
    out = tmp_path / "new" / "train.jsonl"
    arguments = ["training-text", "syllogism", "--seed", 7, "--set", "syllogism.syllogisms=12", "--splitting", "cumulative"]
    made = training_text("syllogism", "cumulative", seed=7, syllogisms=12)
    assert run(*arguments, "--out", out).stdout == f"wrote {out} ({len(made)} examples)\n"
    assert [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] == made.to_list()
    assert run(*arguments, "--out", out).returncode == 2
    assert run(*arguments, "--out", out, "--format", "messages", "--force").returncode == 0
    assert "messages" in json.loads(out.read_text(encoding="utf-8").splitlines()[0])


def test_tasks_names_a_folder_of_task_files():
    folder = Path(run("tasks").stdout.strip())
    assert (folder / "icl_bench_reversal.yaml").exists()
