"""The study: four conditions on a small world with the reference learner, killed and gone on with; what is refused."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from math import log
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from filelock import FileLock
from peft import LoraConfig, get_peft_model
from transformers import GPT2Config, LlamaConfig, LlamaForCausalLM, MambaConfig

from icl_bench import IclBenchError, load_dataset
from icl_bench.cli import main
from icl_bench.study.cells import Cell, finished
from icl_bench.study.failures import in_one_line
from icl_bench.study.model import Source
from icl_bench.study.plan import plan, shape_of
from icl_bench.study.progress import expected
from icl_bench.study.report import _unlearned, side_by_side
from icl_bench.study.settings import CONDITIONS, settings
from icl_bench.study.statistics import by, over_documents, over_steps, paired_tests, summary, with_decided

pytestmark = pytest.mark.usefixtures("one_thread")
LEARNER = Path(__file__).parent.parent / "icl_bench" / "reference_learner"
FACTS, EVERY, STEPS = 10, 10, 40
SMALL = {
    "model": str(LEARNER),
    "datasets": ["reversal"],
    "conditions": list(CONDITIONS),
    "seeds": [1000],
    "documents_curve": [5, 1000],
    "oracle": 3,
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
CELLS = [
    Cell("reversal", "pretrained", 1000),
    Cell("reversal", "in_context", 1000, 5),  # of 40, so that 1,000 is no smaller number
    *(Cell("reversal", condition, 1000) for condition in CONDITIONS[1:]),
]
ALONE = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
COMMAND = [sys.executable, "-m", "icl_bench"]


def run(*arguments, cwd=None):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, env=ALONE, cwd=cwd)


@pytest.fixture
def inside(monkeypatch, capsys):
    """The same in this process: exit status, standard output and error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["icl-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "study.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory, config):
    out = tmp_path_factory.mktemp("runs") / "learner"
    made = run("study", "--config", config, "--out", out, cwd=out.parent)  # outside any checkout
    assert made.returncode == 0, made.stderr
    assert made.stdout == f"wrote {out / 'report.md'} and {out / 'results.json'}\n"
    lines = made.stderr.splitlines()
    assert lines[::2] == [f"{cell} ({place} of 6)" for place, cell in enumerate(CELLS, 1)]
    for left, line in zip(range(5, 0, -1), lines[1::2], strict=False):
        assert re.fullmatch(rf"  \d+ s; {left} remains?, about \d+ (s|min)", line)
    assert re.fullmatch(r"  \d+ s", lines[-1])
    return out


def results(out):
    found = json.loads((out / "results.json").read_text())
    assert set(found.pop("times")) == set(map(str, CELLS))
    return found


# ---- a small study


def test_every_question_is_scored_in_every_condition(done):
    world = load_dataset("reversal", path=done / "worlds" / "reversal" / "1000")
    asked = {row["id"]: row for split in ("validation", "test") for row in world[split]}
    for cell in CELLS:
        rows = pq.read_table(cell.folder(done) / "questions.parquet").to_pylist()
        assert [row["id"] for row in rows] == [*world["validation"]["id"], *world["test"]["id"]]
        for row in rows:
            question = asked[row["id"]]
            assert all(row[name] == question[name] for name in ("kind", "relation", "hops"))
            assert (row["chance"], row["correct_decided"]) == (0.5, None)
            best = max(range(2), key=row["loglikelihoods"].__getitem__)
            assert row["correct"] == (best in question["answer"])
            assert all(likelihood < 0 for likelihood in row["loglikelihoods"])


def test_the_learner_reads_and_learns(done):
    found = results(done)
    accuracy = {(row["kind"], row["condition"]): row["accuracy"] for row in found["summary"]}
    assert accuracy["reversal", "in_context"] >= 0.9
    assert accuracy["rephrase", "in_context"] >= 0.9
    assert accuracy["reversal", "oracle"] >= 0.9
    read = {(cell["condition"], cell["first"]): (cell["documents"], cell["context_tokens"]) for cell in found["cells"]}
    assert [read[key][0] for key in (("in_context", 5), ("in_context", None), ("oracle", None))] == [5, 40, 4]
    assert read["pretrained", None] == read["finetuned", None] == (0, 0)
    assert read["oracle", None][1] / 4 == pytest.approx(read["in_context", None][1] / 40, rel=0.1)
    trained = [cell for cell in found["cells"] if cell["steps"]]
    assert [cell["condition"] for cell in trained] == ["finetuned", "augmented"]
    for cell in trained:
        assert cell["steps"] == STEPS
        assert cell["tokens"] > 32 * STEPS * 5
        assert [entry["step"] for entry in cell["validation"]] == [0, 20, 40]
        assert cell["losses"][-1]["loss"] < cell["losses"][0]["loss"] / 2
        last = cell["validation"][-1]["accuracy"]  # in the end the same questions of the same model
        assert last == {kind: accuracy[kind, cell["condition"]] for kind in ("rephrase", "reversal")}
    curve = {row["documents"]: row["accuracy"] for row in found["over_documents"] if row["kind"] == "reversal"}
    assert list(curve) == [5, 40]
    assert curve[40] == accuracy["reversal", "in_context"]
    assert trained[0]["examples"] == 4 * FACTS < trained[1]["examples"]


def test_the_report_says_what_the_results_say(done):
    found, text = results(done), (done / "report.md").read_text()
    figures = sorted(path.name for path in done.glob("reversal*"))
    assert figures == [f"reversal{name}.{end}" for name in ("", "_documents", "_steps") for end in ("png", "svg")]
    assert all(f"]({name})" in text for name in figures if name.endswith("png"))
    assert all(path.stat().st_size > 5000 for path in done.glob("reversal*"))
    for kind in ("rephrase", "reversal"):
        row = next(line for line in text.splitlines() if line.startswith(f"| {kind} |")).split(" | ")
        for condition, cell in zip(CONDITIONS, row[4:], strict=True):
            entry = next(e for e in found["summary"] if (e["kind"], e["condition"]) == (kind, condition))
            assert cell.startswith(f"{100 * entry['accuracy']:.1f} ± {100 * entry['error_over_questions']:.1f}")
    assert len(found["tests"]) == 2 * 10
    [environment] = found["environments"]
    assert environment["versions"]["trl"]
    assert environment["cells"] == [str(cell) for cell in finished(done)]
    assert found["precision"] == "float32"
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
    assert again.stderr.startswith("4 of 6 cells are finished\nreversal/finetuned/1000 (5 of 6)\n")
    assert first.stat().st_mtime_ns == before
    assert results(out) == results(done)


def test_studies_side_by_side(done, tmp_path, inside):
    twin = tmp_path / "runs" / "twin"
    twin.mkdir(parents=True)
    found = json.loads((done / "results.json").read_text())
    (twin / "results.json").write_text(json.dumps(found))
    assert "The same settings." in side_by_side([done, twin])
    found["settings"]["training"]["batch_size"] = 7
    (twin / "results.json").write_text(json.dumps(found))
    (twin.parent / "begun").mkdir()
    (twin.parent / "notes.md").touch()
    status, text, remark = inside("report", done, *sorted(twin.parent.iterdir()))
    assert (status, remark) == (0, f"{twin.parent / 'begun'} has no results.json yet and is left out\n")
    assert "reference_learner (learner): in context" in text
    assert "reference_learner (twin): in context" in text
    lines = text.splitlines()
    assert "| setting | reference_learner (learner) | reference_learner (twin) |" in lines
    assert "| training.batch_size | 32 | 7 |" in lines
    assert sum(line.startswith("| training.") for line in lines) == 1
    with pytest.raises(IclBenchError, match=r"has no results\.json"):
        side_by_side([tmp_path])
    assert inside("report", tmp_path)[0] == 2


@pytest.mark.filterwarnings("ignore")  # of the libraries
def test_a_folder_takes_further_datasets_with_fields_of_their_own(tmp_path, inside):
    elsewhere = shutil.copytree(LEARNER, tmp_path / "elsewhere")
    out = ["--conditions", "pretrained", "--out", tmp_path / "x"]
    reversal, people = ["--set", "reversal.facts=3"], ["--set", "reversal_curse.people_per_set=5"]
    assert inside("study", "--model", LEARNER, "--datasets", "reversal", *reversal, *out)[0] == 0
    assert inside("study", "--model", elsewhere, "--datasets", "reversal_curse", *people, *out)[0] == 0  # the same model
    both = ["study", "--model", LEARNER, "--datasets", "reversal,reversal_curse", *reversal]
    assert inside(*both, *people, *out)[2].startswith("2 of 2 cells are finished")
    assert "settings.fields.reversal_curse is {'people_per_set': 5}, not None" in inside(*both, *out)[2]
    found = json.loads((tmp_path / "x" / "results.json").read_text())
    assert found["settings"]["fields"] == {"reversal": {"facts": 3}, "reversal_curse": {"people_per_set": 5}}
    assert [cell["dataset"] for cell in found["cells"]] == ["reversal", "reversal_curse"]


def test_what_was_not_learned_is_said():
    row = {"dataset": "d", "kind": "rephrase", "chance": 0.5, "error_over_questions": 0.1}
    rows = [{**row, "condition": condition, "accuracy": share} for condition, share in (("finetuned", 0.6), ("augmented", 0.8))]
    [line, _] = _unlearned([*rows, {**row, "condition": "pretrained", "accuracy": 0.5}], "d")
    assert line.startswith("**finetuned: `rephrase` is within two standard errors of chance")


@pytest.mark.filterwarnings("ignore")  # of the libraries
@pytest.mark.parametrize("lora", [False, True])
def test_training_that_is_finished_is_not_trained_further(tmp_path, lora):
    from icl_bench.study.training import finetune

    short = {"steps": {"reversal": 6}, "lora": lora, "checkpoint_every": 4, "validate_every": 4}
    options = settings(SMALL | {"training": SMALL["training"] | short}).training
    source, texts, measured = Source(str(LEARNER)), [f"jowot are brighter than {name}." for name in ("femp", "glon", "troff")], []

    def validate(model):
        measured.append(model.training)
        return {"rephrase": 0.5}

    first, second = (finetune(source, texts, options, 6, 0, tmp_path / "kept", validate) for _ in range(2))
    assert len(measured) == 3  # before, at step 4 and in the end; then never again
    assert (second.steps, second.tokens, second.losses) == (6, first.tokens, first.losses)
    assert [entry["step"] for entry in second.validation] == [0, 4, 6]
    weights, again = first.model.state_dict(), second.model.state_dict()
    assert weights.keys() == again.keys()
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    before = source.load()
    ids = torch.tensor([source.tokenizer(texts[0])["input_ids"]])
    assert not torch.equal(first.model(ids).logits, before(ids).logits)


@pytest.mark.filterwarnings("ignore")  # of the libraries
@pytest.mark.parametrize("lora", [False, True])
def test_trained_models_are_scored_in_the_precision_of_others(tmp_path, lora):
    """In half precision trainers wrap a model, and casting one casts more than its weights; what is scored is neither."""
    from icl_bench.study.training import finetune

    short = {"steps": {"reversal": 2}, "lora": lora, "checkpoint_every": 2, "validate_every": 1}
    options = settings(SMALL | {"training": SMALL["training"] | short}).training
    source, texts = Source(str(LEARNER)), ["jowot are brighter than femp."]
    source.dtype = torch.bfloat16
    clean, measured = source.load(), []
    ids = torch.tensor([source.tokenizer(texts[0])["input_ids"]])
    made = finetune(source, texts, options, 2, 0, tmp_path / "kept", lambda model: measured.append(model(ids).logits) or {})
    assert torch.equal(measured[0], clean(ids).logits)  # before the first step
    assert measured[0].dtype == torch.bfloat16
    assert torch.equal(measured[-1], made.model(ids).logits)
    buffers = dict(clean.named_buffers())
    assert {name: buffer.dtype for name, buffer in buffers.items()} == dict.fromkeys(buffers, torch.float32)
    inside = made.model.get_base_model() if lora else made.model
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in inside.named_buffers())
    if not lora:
        clean.load_state_dict(made.model.state_dict())
        assert torch.equal(clean(ids).logits, made.model(ids).logits)


# ---- the plan


def test_a_plan_counts_what_is_read(done):
    _, planned = plan(settings(SMALL))
    cells = results(done)["cells"]
    assert [row.condition for row in planned] == [cell["condition"] for cell in cells]
    for row, cell in zip(planned, cells, strict=True):
        assert (row.documents, row.context, row.examples, row.steps) == tuple(
            cell[name] for name in ("documents", "context_tokens", "examples", "steps")
        )
        assert row.trained == pytest.approx(cell["tokens"], rel=0.07)  # each example has an end, which is not counted here
    pretrained, _, in_context, oracle, finetuned, augmented = planned
    assert in_context.scored == pretrained.scored + in_context.context
    assert oracle.scored == pytest.approx(pretrained.scored + 2 * FACTS * oracle.context)
    assert finetuned.scored == 4 * pretrained.scored  # and before, at step 20, at 40
    assert augmented.flops > finetuned.flops > pretrained.flops
    assert finetuned.disk == 3 * 12 * sum(weights.numel() for weights in Source(str(LEARNER)).load().parameters())


@pytest.mark.filterwarnings("ignore")  # of peft
def test_sizes_of_a_model(tmp_path):
    config = LlamaConfig(
        vocab_size=32,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    shutil.copytree(LEARNER, tmp_path / "tiny")
    model.save_pretrained(tmp_path / "tiny")
    shape = shape_of(Source(str(tmp_path / "tiny")))
    number = sum(weights.numel() for weights in model.parameters())
    assert (shape.parameters, shape.matrices) == (number, number - 32 * 8)
    assert (shape.layers, shape.hidden, shape.inner, shape.attention) == (2, 8, 16, 8)
    assert shape.cache == 2 * 2 * 4 * 2  # layers, keys and values, width, bytes
    adapted = get_peft_model(model, LoraConfig(r=3, target_modules="all-linear", task_type="CAUSAL_LM"))
    assert adapted.get_nb_trainable_parameters()[0] == 3 * shape.adapted
    for other in (GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=32), MambaConfig(hidden_size=8, vocab_size=32)):
        other.save_pretrained(tmp_path / "tiny")
        shape = shape_of(Source(str(tmp_path / "tiny")))
        assert shape.adapted > 8
        assert (shape.attention > 0) == isinstance(other, GPT2Config)
    learner = shape_of(Source(str(LEARNER)))
    assert learner.matrices == learner.parameters  # the table of embeddings is used for the output too


def test_a_plan_is_printed_and_runs_nothing(tmp_path, inside, config, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, told, _ = inside("study", "--config", config, "--seeds", "0,1", "--plan")
    rows = [line.split(" | ") for line in told.splitlines() if line.startswith("| reversal |")]
    assert (status, [row[1].replace(" ", "_") for row in rows]) == (0, [cell.condition for cell in CELLS])
    assert "0.00 billion parameters, all weights trained, batch 32. For each seed:" in told
    assert re.search(r"With 2 seeds: about [\d.]+ hours of one A100 or [\d.]+ hours of one H100\.\n", told)
    assert list(tmp_path.iterdir()) == []
    assert "--plan is for bfloat16; " in inside("study", "--config", config, "--precision", "float32", "--plan")[2]
    status, _, complaint = inside("study", "--config", config, "--method", "local", "--plan")
    assert (status, complaint.count("\n")) == (2, 1)
    assert "--plan cannot count documents that a model will write (--method local)" in complaint
    assert inside("study", "--config", config)[::2] == (2, "icl-bench: --out is not said; give a folder for the study\n")


REPRODUCE = (LEARNER.parent.parent / "docs" / "reproduce.md").read_text()


def test_commands_of_the_documentation_are_understood(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in re.findall(r"```yaml\n# (\S+)\n(.*?)```", REPRODUCE, re.DOTALL):
        Path(name).write_text(text)
    folders = {}
    monkeypatch.setattr("icl_bench.study.run.study", lambda chosen, out, _: folders.setdefault(out, []).append(chosen))
    monkeypatch.setattr("icl_bench.study.plan.plan", lambda chosen: (folders.setdefault(None, []).append(chosen), []))
    monkeypatch.setattr("icl_bench.study.plan.table", lambda *_: "")
    commands = re.findall(r"^icl-bench study .*$", REPRODUCE, re.MULTILINE)
    for command in commands:
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
    assert sum(map(len, folders.values())) == len(commands) == 8
    for chosen in folders.values():
        assert all(one.seeds == (0, 1, 2) for one in chosen)
        assert all(one.shared() == chosen[0].shared() for one in chosen)  # so that one goes on with the other


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
        (["--datasets", "reversal", "--documents", "many"], "--documents many: write a number, or dataset=number"),
        (["--datasets", "reversal", "--documents", "nothing=3"], "documents: there is no dataset 'nothing'"),
        (["--datasets", "reversal", "--documents-curve", "3,b"], "--documents-curve 3,b: write integers"),
        (["--datasets", "reversal", "--documents-curve", "0"], "documents_curve.0: "),
        (["--datasets", "reversal", "--conditions", "oracle", "--oracle", "1000"], "oracle = 1000, but reversal has 999 other"),
        (
            ["--datasets", "reversal", "--conditions", "oracle", "--oracle", "800"],
            "and 800 others with the longest question have",
        ),
        (["--datasets", "reversal", "--precision", "half"], "precision: "),
        (["--datasets", "reversal", "--documents", "2000"], "--documents 2000, but reversal has 1000 documents"),
        (["--datasets", "reversal"], "the window of "),
    ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path, inside, monkeypatch, options, message):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    model = [] if "--model" in options else ["--model", LEARNER]
    status, told, complaint = inside("study", *model, *options, "--out", tmp_path / "x")
    assert (status, told) == (2, "")
    assert message in complaint
    assert complaint.count("\n") == 1


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """The learner with a window of 600 tokens."""
    folder = tmp_path_factory.mktemp("short") / "learner"
    shutil.copytree(LEARNER, folder)
    for name, key in (("config.json", "max_position_embeddings"), ("tokenizer_config.json", "model_max_length")):
        content = json.loads((folder / name).read_text())
        assert content[key] == 8192
        (folder / name).write_text(json.dumps(content | {key: 600}))
    return folder


@pytest.mark.filterwarnings("ignore")  # of the libraries
def test_what_fits_the_window_beside_the_oracle_s_documents(tmp_path, inside, short):
    options = ["study", "--model", short, "--datasets", "reversal", "--conditions", "oracle", "--out", tmp_path / "x"]
    options += ["--set", "reversal.facts=12"]
    fits = int(inside(*options, "--oracle", 60)[2].split("600; --oracle ")[1].split()[0])
    assert f"--oracle {fits} fits" in inside(*options, "--oracle", fits + 1)[2]
    assert inside(*options, "--oracle", fits)[0] == 0


@pytest.mark.filterwarnings("ignore")  # of the libraries
def test_what_fits_the_window_is_said_and_fits(tmp_path, inside, short):
    options = ["study", "--model", short, "--datasets", "reversal", "--conditions", "in_context", "--out", tmp_path / "x"]
    options += ["--set", "reversal.facts=12"]
    _, _, refused = inside(*options)
    fits = int(refused.split("--documents reversal=")[1].split()[0])
    assert "120 documents with the longest question have " in refused
    assert f"600; --documents reversal={fits} fits" in refused
    assert inside(*options, "--documents", fits + 1)[0] == 2
    assert inside(*options, "--documents", fits)[0] == 0  # in the same folder: nothing was begun
    assert "holds a study in which settings.documents.reversal is" in inside(*options, "--documents", fits - 1)[2]


def test_files_of_settings(tmp_path):
    path = tmp_path / "s.yaml"
    for text, message in (
        ("a: [", "is no YAML"),
        ("3", "holds no settings"),
        ("nothing: 3", "there is no setting nothing; there are model, "),
    ):
        path.write_text(text)
        with pytest.raises(IclBenchError, match=message):
            settings(SMALL, path)
    with pytest.raises(IclBenchError, match="No such file"):
        settings(SMALL, tmp_path / "none.yaml")
    path.write_text("training: {batch_size: 4, warmup_steps: 3}")
    training = settings(SMALL, path).training
    assert (training.batch_size, training.warmup_steps, training.weight_decay) == (32, 3, 0.0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_bfloat16_without_a_gpu(tmp_path, inside):
    options = ["--model", LEARNER, "--datasets", "reversal", "--precision", "bfloat16", "--out", tmp_path / "x"]
    status, _, complaint = inside("study", *options)
    assert status == 2
    assert complaint == "icl-bench: precision: bfloat16 was asked for, but there is no GPU; ask for auto or float32\n"
    assert not (tmp_path / "x").exists()


def test_a_full_disk_in_training_loses_nothing(done, config, tmp_path):
    """Files may not grow beyond 3 MB, which the weights in a checkpoint do; safetensors and torch write these by themselves."""
    out = tmp_path / "full"
    shutil.copytree(done, out)
    shutil.rmtree(Cell("reversal", "finetuned", 1000).folder(out))
    command = " ".join(shlex.quote(str(part)) for part in [*COMMAND, "study", "--config", config, "--out", out])
    limited = ["bash", "-c", f"ulimit -f 3000; {command}"]  # blocks of 1,024 bytes
    full = subprocess.run(limited, capture_output=True, text=True, check=False, env=ALONE)
    assert full.returncode == 2
    line = full.stderr.splitlines()[-1]
    assert line.startswith(f"icl-bench: reversal/finetuned/1000: cannot write to {out}: ")
    assert line.endswith("; make room, and the same command goes on")
    assert "Traceback" not in full.stderr
    assert len(list(finished(out))) == len(CELLS) - 1
    assert run("study", "--config", config, "--out", out).returncode == 0
    assert results(out) == results(done)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), r"^cell: out of memory; --gradient-checkpointing needs less; .*; what is finished is kept in out$"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "^cell: out of memory; "),
        (RuntimeError("CUDA error: out of memory"), "^cell: out of memory; "),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), "^cell: out of memory; "),
        (PermissionError(13, "Permission denied"), "^cell: cannot write to out: Permission denied; "),
        (OSError(28, "No space left on device"), "^cell: cannot write to out: No space left on device; make room"),
        (
            RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"),
            "^cell: cannot write to out: .enf",
        ),
    ],
)
def test_failures_of_the_machine_are_one_line(error, message):
    with pytest.raises(IclBenchError, match=message), in_one_line("cell", Path("out")):
        raise error


@pytest.mark.parametrize("error", [RuntimeError("a bug"), FileNotFoundError(2, "No such file"), ConnectionError("no network")])
def test_other_failures_pass(error):
    with pytest.raises(type(error), match=str(error.args[-1])), in_one_line("cell", Path("out")):
        raise error


def test_two_studies_in_one_folder(done, config, inside):
    before = (done / "study.json").read_bytes()
    with FileLock(done / ".lock"):
        status, _, complaint = inside("study", "--config", config, "--steps", "7", "--out", done)
    assert (status, complaint.count("\n")) == (2, 1)
    assert complaint.startswith(f"icl-bench: another icl-bench study is running in {done}; ")
    assert (done / "study.json").read_bytes() == before


def test_how_long_the_rest_will_take():
    assert expected([Cell("d", "finetuned", 1)], {}) is None
    took = {Cell("d", "finetuned", 0): 10.0, Cell("d", "pretrained", 0): 2.0, Cell("e", "pretrained", 0): 4.0}
    assert expected([Cell("d", "finetuned", 1)], took) == 10
    assert expected([Cell("d", "pretrained", 1), Cell("f", "pretrained", 1)], took) == 2 + 3
    assert expected([Cell("d", "augmented", 1)], took) == pytest.approx(16 / 3)


def test_settings_for_the_learner():
    chosen = settings({"model": str(LEARNER), "datasets": ["reversal"]}, LEARNER.parent / "learner" / "study.yaml")
    assert (chosen.training.steps_of("reversal", "finetuned"), chosen.training.steps_of("reversal", "augmented")) == (800, 1600)
    assert chosen.conditions == CONDITIONS
    assert chosen.fields["reversal"]["facts"] == 100


# ---- statistics


def answers(right, relations="r", hops=1):
    shared = {"split": "test", "kind": "k", "hops": hops, "chance": 0.25, "correct_decided": None, "chance_decided": None}
    return [
        {"id": str(i), "correct": correct == "x", "relation": relations[i % len(relations)], **shared}
        for i, correct in enumerate(right)
    ]


def test_standard_errors():
    [row] = summary({("d", "finetuned", 0): answers("xx.."), ("d", "finetuned", 1): answers("xxxx")})
    assert (row["accuracy"], row["chance"], row["questions"], row["seeds"]) == (0.75, 0.25, 8, 2)
    assert row["error_over_questions"] == pytest.approx((0.75 * 0.25 / 7) ** 0.5)
    assert row["error_over_seeds"] == pytest.approx(0.25)
    assert (row["accuracy_over_relations"], row["error_over_relations"]) == (None, None)  # one relation


def test_errors_over_relations():
    def over(*rights_and_relations):
        told = {("d", "finetuned", seed): answers(*one) for seed, one in enumerate(rights_and_relations)}
        [row] = summary(told)
        return row["accuracy_over_relations"], row["error_over_relations"]

    assert over(("xxx.x.x.", "ab")) == pytest.approx((5 / 8, 3 / 8))  # of 1 and 1/4
    assert over(("xxx.xx", "aaab")) == pytest.approx((1 / 2, 1 / 2))  # 1 of five questions, 0 of one: each counts alike
    assert over(("xxx.x.x.", "ab"), ("xxxx", "ab")) == pytest.approx((13 / 16, 3 / 16))
    assert over(("xxx.x.x.", "ab"), ("xxxx", "cd")) == pytest.approx((13 / 16, 3 / 16))  # whatever they are called
    assert over(("xxx.x.x.", "abcdefgh")) == (None, None)  # subsets of one


def test_subsets():
    told = {("d", "in_context", 0): [*answers("xx", "ab"), *answers(".x..", "ab", hops=2)]}
    assert [(row["hops"], row["accuracy"], row["questions"]) for row in by("hops", told)] == [(1, 1, 2), (2, 0.25, 4)]
    assert [(row["relation"], row["accuracy"]) for row in by("relation", told)] == [("a", 1 / 3), ("b", 2 / 3)]


def test_without_weaker_conclusions():
    rows = answers("x.")
    rows[1] |= {"correct_decided": True, "chance_decided": 0.5}
    assert [(row["kind"], row["correct"], row["chance"]) for row in with_decided(rows)] == [
        ("k", True, 0.25),
        ("k", False, 0.25),
        ("k_decided", True, 0.5),
    ]


def test_curves():
    points = over_documents([("d", 0, 40, answers("xxxx")), ("d", 0, 5, answers("x...")), ("d", 1, 5, answers("xxx."))])
    assert [(row["documents"], row["seeds"], row["accuracy"]) for row in points] == [(5, 2, 0.5), (40, 1, 1.0)]
    assert points[0]["error_over_seeds"] == pytest.approx(0.25)
    course = [[{"step": 0, "accuracy": {"k": 0.1}}, {"step": 9, "accuracy": {"k": end}}] for end in (0.5, 0.7)]
    rows = over_steps(("d", "finetuned", one) for one in course)
    assert [(row["steps"], row["accuracy"]) for row in rows] == [(0, 0.1), (9, pytest.approx(0.6))]
    assert rows[1]["error_over_seeds"] == pytest.approx(0.1)


SIDES = {"pretrained": ["....", "x...", "xx.."], "finetuned": ["xxx.", "xx..", "xx.."]}


def test_paired_tests_are_of_the_same_questions():
    told = {("d", "pretrained", 0): answers("........xx"), ("d", "finetuned", 0): answers("xxxxxxxx.x")}
    [row] = paired_tests({**told, ("d", "finetuned", 1): answers("....")})
    assert (row["questions"], row["gained"], row["lost"], row["difference"]) == (10, 8, 1, 0.7)
    assert log(row["p"]) == pytest.approx(log(2 * 10 / 2**9))  # of 9 tosses, 0 or 1 the other way, on both sides
    assert row["p_adjusted"] == row["p"]
    assert row["p_over_seeds"] is None  # one seed has both
    seeds = {("d", side, seed): answers(right) for side, rights in SIDES.items() for seed, right in enumerate(rights)}
    [row] = paired_tests(seeds)
    t = (1 / 3) / (7 / 48 / 3) ** 0.5  # of the differences 3/4, 1/4, 0
    assert row["p_over_seeds"] == pytest.approx(1 - t / (t**2 + 2) ** 0.5)  # two degrees of freedom
    [none] = paired_tests({("d", "a", 0): answers("x."), ("d", "b", 0): answers("x.")})
    assert (none["p"], none["difference"]) == (1.0, 0.0)
