"""Speed and memory of generation, measured side by side with reasoning-gym in one run.

Rates are medians of interleaved rounds, in rows per second of one process, with proofs and ids, in memory. Run by `make bench`.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import reasoning_gym
from rich.console import Console
from rich.table import Table

from icl_bench import build

ROUNDS = 5
SPLITS = ("train", "validation", "test", "facts")
SIZES = {"reversal": {"facts": 500}, "syllogism": {"syllogisms": 500}, "semantic_structure": {}}
MILLION = ["reversal", "--set", "reversal.facts=71429"]  # 14 rows a fact
CODE = "import sys; from icl_bench.cli import main; sys.argv = ['icl-bench', *sys.argv[1:]]; main()"


def ours(name: str, seed: int) -> tuple[int, float]:
    start = time.perf_counter()
    dataset = build(name, seed, SIZES[name])
    rows = sum(1 for split in SPLITS for _ in dataset.rows(split))
    return rows, time.perf_counter() - start


def statements(seed: int) -> tuple[int, float]:
    """Statements worded per second in the articles of semantic_structure."""
    dataset = build("semantic_structure", seed)
    start = time.perf_counter()
    return sum(len(row.facts) for row in dataset.rows("train")), time.perf_counter() - start


def theirs(seed: int) -> tuple[int, float]:
    dataset = reasoning_gym.create_dataset("syllogism", size=5000, seed=seed)
    start = time.perf_counter()
    items = sum(1 for i in range(5000) if dataset[i])
    return items, time.perf_counter() - start


def rate(counted: tuple[int, float]) -> float:
    return counted[0] / counted[1]


def command(*arguments: str) -> tuple[float, float]:
    """Seconds and peak resident megabytes of a command line in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        code = f"{CODE.replace('main()', '')}\ntry:\n    main()\nfinally:\n    import resource\n    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        start = time.perf_counter()
        result = subprocess.run(
            [sys.executable, "-c", code, "generate", *arguments, "--out", str(Path(folder) / "world")],
            capture_output=True,
            text=True,
            check=True,
        )
        return time.perf_counter() - start, int(result.stdout.split()[-1]) / 1024


if __name__ == "__main__":
    for name in SIZES:
        ours(name, 99)  # templates and words are read once
    theirs(99)
    rates: dict[str, list[float]] = {name: [] for name in (*SIZES, "statements", "reasoning-gym")}
    for seed in range(ROUNDS):
        for name in SIZES:
            rates[name].append(rate(ours(name, seed)))
        rates["statements"].append(rate(statements(seed)))
        rates["reasoning-gym"].append(rate(theirs(seed)))
    table = Table("what", "per second", "ratio", title="rows a second, and ratio to items of reasoning-gym 0.1.25 syllogism")
    ratios = {name: median(a / b for a, b in zip(found, rates["reasoning-gym"], strict=True)) for name, found in rates.items()}
    for name, found in rates.items():
        label = {"statements": "semantic_structure, statements in articles", "reasoning-gym": "reasoning-gym syllogism, items"}
        table.add_row(label.get(name, f"{name}, rows"), f"{median(found):,.0f}", f"{ratios[name]:.2f}")
    console = Console()
    console.print(table)
    seconds, _ = command()
    console.print(f"default suite, three datasets with card: {seconds:.1f} s in a fresh process")
    seconds, peak = command(*MILLION)
    console.print(f"1,000,006 reversal rows as Parquet, hashed: {seconds:.0f} s, peak memory {peak:.0f} MB")
