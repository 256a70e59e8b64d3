"""The house: data goes one way, and every library has one door."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "icl_bench"
FLOORS = [
    {"errors", "models", "streams", "version"},
    {"schema", "vocabulary", "shallow", "journal"},
    {"worlds", "known"},
    {"closure"},
    {"rendering"},
    {"distractors", "documents", "wording_keys"},
    {"questions", "parsing"},
    {"build"},
    {"tables"},
    {"audit_tables", "audit_facts", "audit_questions", "audit_text", "audit_formulas", "card", "loading"},
    {"audit_process"},
    {"audit_checkers"},
    {"augment_world"},
    {"audit", "generate", "show", "training", "augment_closure", "augment_check"},
    {"tasks"},
    {"ngram", "scoring"},
    {"evaluate", "augment_model"},
    {"augment"},
    {"learner", "cli_options"},
    {"demo", "study"},
    {"cli"},
    {"__main__"},
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def module(path):
    """`worlds` for all of its files."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path, prefix=""):
    """Every module that a file imports, at the top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in found if name.startswith(prefix)}


def own(path):
    return {name.split(".")[1] for name in imports(path, "icl_bench.") if name.split(".")[1] in FLOOR}


def test_every_file_has_a_floor():
    assert {module(path) for path in FILES} == set(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_import_from_floors_below(path):
    here = module(path)
    too_high = {name for name in own(path) - {here} if FLOOR[name] >= FLOOR[here] and not name.startswith("audit_")}
    assert not too_high


@pytest.mark.parametrize(
    ("library", "doors"),
    [
        ("jinja2", {"rendering"}),
        ("pyarrow", {"tables", "audit_tables", "study"}),
        ("torch", {"scoring", "learner", "study"}),
        ("matplotlib", {"demo", "study"}),
        ("scipy", {"demo", "study"}),
        ("random", set()),
        ("uuid", set()),
        ("numpy", set()),
    ],
)
def test_every_library_has_its_door(library, doors):
    users = {module(path) for path in FILES if any(name.split(".")[0] == library for name in imports(path))}
    assert users <= doors


def test_documents_cannot_know_what_follows():
    assert not own(PACKAGE / "documents.py") & {"closure", "questions", "distractors", "build"}
    assert "closure" not in own(PACKAGE / "rendering.py")


def test_the_audit_never_rebuilds_a_world():
    for path in PACKAGE.glob("audit*.py"):
        assert not own(path) & {"build", "worlds", "closure", "documents", "questions", "distractors", "loading", "generate"}


def test_importing_the_package_needs_neither_torch_nor_lm_eval():
    code = "import sys, icl_bench; print([m for m in ('torch', 'transformers', 'lm_eval', 'datasets') if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


def test_no_clock_and_no_hash_in_what_makes_rows():
    for name in ("streams", "vocabulary", "closure", "rendering", "documents", "distractors", "questions", "build"):
        tree = ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))
        assert not {"time", "datetime", "secrets"} & {n.split(".")[0] for n in imports(PACKAGE / f"{name}.py")}
        called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        assert "hash" not in called
