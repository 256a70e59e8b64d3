"""The study: four conditions on a small world with the reference learner, killed and gone on with; what is refused."""

import json
import os
import subprocess
import sys
import time
from math import log
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

pytest.importorskip("trl")
pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

from icl_bench import IclBenchError, load_dataset
from icl_bench.study.cells import Cell
from icl_bench.study.report import side_by_side
from icl_bench.study.settings import CONDITIONS, settings
from icl_bench.study.statistics import paired_tests, summary

LEARNER = Path(__file__).parent.parent / "icl_bench" / "reference_learner"
FACTS, EVERY, STEPS = 10, 10, 40
SMALL = {
    "model": str(LEARNER),
    "datasets": ["reversal"],
    "conditions": list(CONDITIONS),
    "seeds": [1000],
    "fields": {"reversal": {"facts": FACTS, "documents_per_fact": 4}},
    "training": {
        "batch_size": 32,
        "learning_rate": 1.5e-3,
        "steps": {"reversal": STEPS},
        "validate_every": 2 * EVERY,
        "checkpoint_every": EVERY,
    },
    "augmentation": {"options": {"reversal": {"wordings": 5}}},
}
ALONE = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
COMMAND = [sys.executable, "-m", "icl_bench"]


def run(*arguments):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, env=ALONE)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "study.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory, config):
    out = tmp_path_factory.mktemp("runs") / "learner"
    made = run("study", "--config", config, "--out", out)
    assert made.returncode == 0, made.stderr
    assert made.stdout == f"wrote {out / 'report.md'} and {out / 'results.json'}\n"
    assert made.stderr.splitlines()[-1] == "reversal/augmented/1000 (4 of 4)"
    return out


def results(out):
    found = json.loads((out / "results.json").read_text())
    assert set(found.pop("times")) == {f"reversal/{condition}/1000" for condition in CONDITIONS}
    return found


# ---- a small study


def test_every_question_is_scored_in_every_condition(done):
    world = load_dataset("reversal", path=done / "worlds" / "reversal" / "1000")
    asked = {row["id"]: row for split in ("validation", "test") for row in world[split]}
    for condition in CONDITIONS:
        rows = pq.read_table(Cell("reversal", condition, 1000).folder(done) / "questions.parquet").to_pylist()
        assert [row["id"] for row in rows] == [*world["validation"]["id"], *world["test"]["id"]]
        for row in rows:
            question = asked[row["id"]]
            assert (row["kind"], row["relation"], row["chance"]) == (question["kind"], question["relation"], 0.5)
            best = max(range(2), key=row["loglikelihoods"].__getitem__)
            assert row["correct"] == (best in question["answer"])
            assert all(likelihood < 0 for likelihood in row["loglikelihoods"])


def test_the_learner_reads_and_learns(done):
    found = results(done)
    accuracy = {(row["kind"], row["condition"]): row["accuracy"] for row in found["summary"]}
    assert accuracy["reversal", "in_context"] >= 0.9
    assert accuracy["rephrase", "in_context"] >= 0.9
    trained = [cell for cell in found["cells"] if cell["steps"]]
    assert [cell["condition"] for cell in trained] == ["finetuned", "augmented"]
    for cell in trained:
        assert cell["steps"] == STEPS
        assert cell["tokens"] > 32 * STEPS * 5
        assert [entry["step"] for entry in cell["validation"]] == [0, 20, 40]
        assert cell["losses"][-1]["loss"] < cell["losses"][0]["loss"] / 2
        rephrase = accuracy["rephrase", cell["condition"]]
        assert cell["validation"][-1]["accuracy"] == rephrase  # in the end the same questions of the same model
    assert trained[0]["examples"] == 4 * FACTS < trained[1]["examples"]


def test_the_report_says_what_the_results_say(done):
    found, text = results(done), (done / "report.md").read_text()
    assert {"png", "svg"} == {path.suffix[1:] for path in done.glob("reversal.*")}
    assert all(path.stat().st_size > 5000 for path in done.glob("reversal.*"))
    for kind in ("rephrase", "reversal"):
        row = next(line for line in text.splitlines() if line.startswith(f"| {kind} |")).split(" | ")
        for condition, cell in zip(CONDITIONS, row[4:], strict=True):
            entry = next(e for e in found["summary"] if (e["kind"], e["condition"]) == (kind, condition))
            assert cell.startswith(f"{100 * entry['accuracy']:.1f} ± {100 * entry['error_over_questions']:.1f}")
    assert len(found["tests"]) == 12
    assert found["versions"]["trl"]
    assert found["model"]["sha256"]
    assert not list(done.rglob("checkpoint*"))


def test_a_killed_study_comes_to_the_same(done, config, tmp_path):
    out = tmp_path / "killed"
    command = [*COMMAND, "study", "--config", str(config), "--out", str(out)]
    half = Cell("reversal", "finetuned", 1000).folder(out) / "checkpoints"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ALONE)
    deadline = time.monotonic() + 120
    while not list(half.glob("checkpoint-*/trainer_state.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (half.parent / "cell.json").exists()
    torn = half / "checkpoint-39"  # as a kill in the midst of writing leaves one
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"global_st')
    first = Cell("reversal", "pretrained", 1000).folder(out) / "cell.json"
    before = first.stat().st_mtime_ns
    again = run("study", "--config", config, "--out", out)
    assert again.returncode == 0, again.stderr
    assert again.stderr.startswith("2 of 4 cells are finished\nreversal/finetuned/1000 (3 of 4)\n")
    assert first.stat().st_mtime_ns == before
    assert results(out) == results(done)


def test_studies_side_by_side(done, tmp_path):
    twin = tmp_path / "twin"
    twin.mkdir()
    (twin / "results.json").write_bytes((done / "results.json").read_bytes())
    text = side_by_side([done, twin])
    assert "reference_learner (learner): in context" in text
    assert "reference_learner (twin): in context" in text
    with pytest.raises(IclBenchError, match=r"has no results\.json"):
        side_by_side([tmp_path])


@pytest.mark.filterwarnings("ignore")  # of the libraries
@pytest.mark.parametrize("lora", [False, True])
def test_training_that_is_finished_is_not_trained_further(tmp_path, lora):
    torch = pytest.importorskip("torch")
    from icl_bench.study.model import Source
    from icl_bench.study.training import finetune

    short = {"steps": {"reversal": 6}, "lora": lora, "checkpoint_every": 4, "validate_every": 4}
    options = settings(SMALL | {"training": SMALL["training"] | short}).training
    source, texts, measured = Source(str(LEARNER)), [f"jowot are brighter than {name}." for name in ("femp", "glon", "troff")], []

    def validate(model):
        measured.append(model.training)
        return 0.5

    first, second = (finetune(source, texts, options, 6, 0, tmp_path / "kept", validate) for _ in range(2))
    assert len(measured) == 3  # before, at step 4 and in the end; then never again
    assert (second.steps, second.tokens, second.losses) == (6, first.tokens, first.losses)
    assert [entry["step"] for entry in second.validation] == [0, 4, 6]
    before = source.load().state_dict()
    weights, again = first.model.state_dict(), second.model.state_dict()
    assert weights.keys() == again.keys() == before.keys()
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    assert any(not torch.equal(weights[name], before[name]) for name in weights)


# ---- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "datasets is not said; give --datasets"),
        (["--datasets", ""], "datasets: "),
        (["--datasets", "nothing"], "there is no dataset 'nothing'"),
        (["--datasets", "reversal", "--conditions", "trained"], "there is no condition 'trained'"),
        (["--datasets", "reversal", "--seeds", "a"], "--seeds a: write integers"),
        (["--datasets", "reversal", "--splitting", "words"], "training.splitting: "),
        (["--datasets", "reversal", "--set", "syllogism.syllogisms=3"], "--set names 'syllogism', which is not studied"),
        (["--datasets", "reversal", "--set", "reversal.nothing=3"], "reversal has no field 'nothing'"),
        (["--datasets", "reversal", "--model", "./nothing"], "--model ./nothing: there is no such folder"),
        (["--datasets", "reversal", "--model", "nobody/nothing"], "--model nobody/nothing cannot be loaded: "),
        (["--datasets", "reversal", "--documents", "2000"], "--documents 2000, but reversal has 1000 documents"),
        (["--datasets", "reversal"], "the window of "),
    ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path, options, message):
    model = [] if "--model" in options else ["--model", LEARNER]
    made = run("study", *model, *options, "--out", tmp_path / "x")
    assert (made.returncode, made.stdout) == (2, "")
    assert message in made.stderr
    assert made.stderr.count("\n") == 1


def test_what_fits_the_window_is_said_and_fits(tmp_path):
    options = ["--model", LEARNER, "--datasets", "reversal", "--conditions", "in_context", "--out", tmp_path / "x"]
    refused = run("study", *options)
    fits = int(refused.stderr.split("--documents ")[1].split()[0])
    assert "1,000 documents with the longest question have " in refused.stderr
    assert "8,192; " in refused.stderr
    assert run("study", *options, "--documents", fits).returncode == 0  # in the same folder: nothing was begun
    assert "holds a study in which settings.documents is" in run("study", *options, "--documents", fits - 1).stderr


def test_files_of_settings(tmp_path):
    path = tmp_path / "s.yaml"
    for text, message in (("a: [", "is no YAML"), ("3", "holds no settings"), ("nothing: 3", "nothing: Extra inputs")):
        path.write_text(text)
        with pytest.raises(IclBenchError, match=message):
            settings(SMALL, path)
    with pytest.raises(IclBenchError, match="No such file"):
        settings(SMALL, tmp_path / "none.yaml")
    path.write_text("training: {batch_size: 4, warmup_steps: 3}")
    training = settings(SMALL, path).training
    assert (training.batch_size, training.warmup_steps, training.weight_decay) == (32, 3, 0.0)


# ---- statistics


def answers(right):
    return [
        {"id": str(i), "split": "test", "kind": "k", "correct": correct == "x", "chance": 0.25} for i, correct in enumerate(right)
    ]


def test_standard_errors():
    [row] = summary({("d", "finetuned", 0): answers("xx.."), ("d", "finetuned", 1): answers("xxxx")})
    assert (row["accuracy"], row["chance"], row["questions"], row["seeds"]) == (0.75, 0.25, 8, 2)
    assert row["error_over_questions"] == pytest.approx((0.75 * 0.25 / 7) ** 0.5)
    assert row["error_over_seeds"] == pytest.approx(0.25)


def test_paired_tests_are_of_the_same_questions():
    told = {("d", "pretrained", 0): answers("........xx"), ("d", "finetuned", 0): answers("xxxxxxxx.x")}
    [row] = paired_tests({**told, ("d", "finetuned", 1): answers("....")})
    assert (row["questions"], row["gained"], row["lost"], row["difference"]) == (10, 8, 1, 0.7)
    assert log(row["p"]) == pytest.approx(log(2 * 10 / 2**9))  # of 9 tosses, 0 or 1 the other way, on both sides
    assert row["p_adjusted"] == row["p"]
    [none] = paired_tests({("d", "a", 0): answers("x."), ("d", "b", 0): answers("x.")})
    assert (none["p"], none["difference"]) == (1.0, 0.0)
