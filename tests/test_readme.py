"""The README: its tree is the tree, its code runs, its commands exist."""

import re
from pathlib import Path

from typer.main import get_command

from icl_bench.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tree_names_every_file_of_the_package():
    listed = README.split("## Files")[1].split("```")[1]
    package = {line.split()[0] for line in listed.splitlines() if line.startswith("  ")}
    there = {path.name + ("/" if path.is_dir() else "") for path in (ROOT / "icl_bench").iterdir() if path.name[0] not in "._"}
    parts = {path.name for path in (ROOT / "icl_bench").glob("*_*.py") if path.name.split("_")[0] in ("audit", "augment")}
    words = {"words.txt", "words_excluded.txt", "README.md", "manifest.json"}
    assert all(name.split(".")[0] in listed for name in parts | words)
    assert package == there - parts - words
    top = {line.split()[0] for line in listed.splitlines() if line and line[0] != " "}
    assert all((ROOT / name).exists() for name in top)


def test_the_python_examples_run(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "README", "exec"), {})
    assert "than" in capsys.readouterr().out


def test_the_commands_exist():
    commands = set(get_command(app).commands)
    assert set(re.findall(r"icl-bench ([\w-]+)", README)) <= commands


def test_every_dataset_has_its_card_templates_and_tasks():
    from icl_bench import WORLDS

    for name in WORLDS:
        assert (ROOT / "data_cards" / f"{name}.md").exists()
        assert (ROOT / "templates" / name / "questions").is_dir()
        assert list((ROOT / "icl_bench" / "tasks").glob(f"icl_bench_{name}*.yaml"))
        assert f"`{name}`" in README
