"""What the learner can do, on fresh worlds: python -m icl_bench.learner.measure icl_bench/reference_learner

Prints a table in Markdown: for each kind of question the mean over worlds and its standard error, in several conditions.
Worlds have even seeds, so no listed word of theirs was ever trained on.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import torch

from icl_bench.augment import augment
from icl_bench.generate import generate
from icl_bench.learner.finetune import Recipe, finetune
from icl_bench.learner.score import likelihoods, share_right
from icl_bench.loading import load_dataset
from icl_bench.training import training_text

if TYPE_CHECKING:
    from datasets import DatasetDict
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

CHANCE = "chance"
DECIDED = ", decided"
"""Behind a kind of question: weaker conclusions are left out, as `acc_decided` of the tasks has it."""
CONDITIONS = ("pretrained", "in_context", "in_context_all", "finetuned", "augmented")
TRAINED = ("finetuned", "augmented")
USUAL = {
    "reversal": CONDITIONS,
    "syllogism": ("pretrained", "in_context", "finetuned", "augmented"),
    "reversal_curse": ("pretrained", "in_context", "finetuned", "augmented"),
    "semantic_structure": ("pretrained", "in_context_all", "finetuned", "augmented"),
}
"""What is measured if nothing is said."""
SIZES: dict[str, dict[str, Any]] = {
    "reversal": {"facts": 20},
    "syllogism": {"syllogisms": 22, "documents_per_syllogism": 8},
    "reversal_curse": {"people_per_set": 6, "paraphrases": 10, "vocabulary": "nonsense"},
    "semantic_structure": {"n_categories": 16, "documents": 70, "max_sentences": 8},
}
"""Fields of the worlds."""
ONCE: dict[str, dict[str, Any]] = {
    "reversal": {"documents_per_fact": 1},
    "syllogism": {"documents_per_syllogism": 1},
    "reversal_curse": {"paraphrases": 1},
}
"""The same world, every fact told once: what `in_context` reads. The other datasets have no such condition."""
CLOSURE: dict[str, dict[str, Any]] = {
    "reversal": {"wordings": 5},
    "syllogism": {"kinds": ("rephrase", "syllogism"), "wordings": 4},
}
"""Options of the augmentation."""
RECIPES = {
    "syllogism": Recipe(rate=3e-3, hidden=0.3, parts=True),
    "reversal_curse": Recipe(rate=3e-3, hidden=0.3),
    "semantic_structure": Recipe(rate=3e-3, hidden=0.3),
}
"""How a dataset is trained on, if not as `Recipe` has it: chosen by the score at `rephrase` in worlds of seeds 900 and 902."""
SEEDS = range(1000, 1200, 2)
"""Worlds to be tested on, the first ones: even, as those of training are odd."""
BY_SENTENCE = ("semantic_structure",)
"""Trained on sentence by sentence, its documents being long."""


def load(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The model, in single precision, and its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(folder)


def world_scores(learner: Path, dataset: str, seed: int, conditions: Sequence[str]) -> Iterator[tuple[str, str, float]]:
    """(condition, kind of question, accuracy) on one world."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "world")
        generate([dataset], seed, folder, {dataset: SIZES[dataset]})
        if "augmented" in conditions:
            augment(folder, "closure", [dataset], CLOSURE.get(dataset))
        tables = load_dataset(dataset, path=folder)
    for kind, questions in by_kind(tables).items():
        yield CHANCE, kind, chance(questions)
        if any(row["weaker"] for row in questions):
            yield CHANCE, f"{kind}{DECIDED}", chance(questions, decided=True)
    for condition in conditions:
        model, tokenizer = load(learner)
        documents: Sequence[str] = ()
        if condition == "in_context":
            documents = load_dataset(dataset, seed=seed, **(SIZES[dataset] | ONCE[dataset]))["train"]["text"]
        elif condition == "in_context_all":
            documents = tables["train"]["text"]
        elif condition in TRAINED:
            finetune(model, tokenizer, *lesson(dataset, tables, condition == "augmented"), seed)
        for kind, questions in by_kind(tables).items():
            found = likelihoods(model, tokenizer, questions, documents)
            yield condition, kind, share_right(questions, found)
            if any(row["weaker"] for row in questions):
                yield condition, f"{kind}{DECIDED}", share_right(questions, found, decided=True)


def lesson(dataset: str, tables: DatasetDict, augmented: bool) -> tuple[list[str], Recipe]:
    """What is trained on, and how: all documents, or those of the augmentation too, and in twice the steps."""
    recipe = RECIPES.get(dataset, Recipe())
    told = [*training_text(tables, "independent" if dataset in BY_SENTENCE else "none")["text"]]
    if not augmented:
        return told, recipe
    return [*told, *tables["augmented_closure"]["text"]], recipe._replace(steps=2 * recipe.steps)


def by_kind(tables: DatasetDict) -> dict[str, list[Mapping[str, Any]]]:
    """The questions of a dataset, for each kind."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for split in ("validation", "test"):
        for row in tables[split]:
            found.setdefault(row["kind"], []).append(row)
    return found


def chance(questions: Sequence[Mapping[str, Any]], decided: bool = False) -> float:
    """The accuracy of choosing blindly; `decided` as in scoring."""
    return mean(len(row["answer"]) / (len(row["choices"]) - decided * len(row["weaker"])) for row in questions)


def table(scores: Mapping[tuple[str, str], Sequence[float]], conditions: Sequence[str]) -> str:
    """Means and standard errors as Markdown; `scores` holds for (kind, condition) the accuracy in each world."""
    lines = ["| question | " + " | ".join(conditions) + " |", "|---" * (len(conditions) + 1) + "|"]
    for kind in dict.fromkeys(kind for kind, _ in scores):
        cells = []
        for condition in conditions:
            values = scores[kind, condition]
            error = f" ± {stdev(values) / len(values) ** 0.5:.2f}" if len(values) > 1 else ""
            cells.append(f"{mean(values):.2f}{error}")
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("learner", type=Path, help="folder of the model")
    parser.add_argument("--dataset", choices=list(SIZES), default="reversal")
    parser.add_argument("--worlds", type=int, default=5, help="how many worlds: seeds 1000, 1002, ...")
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, help="default: what the dataset allows")
    options = parser.parse_args()
    conditions = options.conditions or USUAL[options.dataset]
    if "in_context" in conditions and options.dataset not in ONCE:
        parser.error(f"{options.dataset} tells no fact just once: write in_context_all")
    torch.set_num_threads(1)
    scores: dict[tuple[str, str], list[float]] = {}
    for seed in SEEDS[: options.worlds]:
        for condition, kind, score in world_scores(options.learner, options.dataset, seed, conditions):
            scores.setdefault((kind, condition), []).append(score)
            print(f"seed {seed} {condition} {kind} {score:.3f}", flush=True)
    print(table(scores, [CHANCE, *conditions]))


if __name__ == "__main__":
    main()
