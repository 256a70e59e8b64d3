"""Train the reference learner: python -m icl_bench.learner.train --out build/reference-learner

Every step reads another world, of an odd seed from 2**31 on: no benchmark uses these, and worlds of even seeds share no
listed word with them. The same seed gives the same weights on the same machine, also if it was stopped and started again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from icl_bench.learner.batches import Batch, batch, loss_of, measures
from icl_bench.learner.curriculum import Curriculum
from icl_bench.learner.model import make_model
from icl_bench.learner.reversal import queries_each, sequence
from icl_bench.learner.text import Encoder
from icl_bench.learner.tokenizer import make_tokenizer
from icl_bench.streams import stream
from icl_bench.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import Lfm2ForCausalLM

FIRST_SEED = 2**31 + 1
"""The world of the first step; the next step's is two further on, so that all are odd."""
BUDGET = 24_000_000
"""Tokens to read."""
WARMUP = 30
CLIP = 1.0
_NAMES = 1500
_EVERY = 100
"""Steps between checkpoints."""


def world_seed(step: int) -> int:
    """The seed of a step's words."""
    return FIRST_SEED + 2 * step


def step_batch(encoder: Encoder, pad: int, curriculum: Curriculum, seed: int, step: int) -> tuple[Batch, int]:
    """The sequences of a step, and how many facts each holds."""
    draws = stream(seed, "learner", "step", step)
    count = curriculum.count(draws)
    repeats = 1 + draws.below(3) if count <= 12 and curriculum.most >= 8 and draws.below(10) < 3 else 1
    names = Vocabulary(world_seed(step), slot=0).take(_NAMES)
    length = count * (15 * repeats + 13 * queries_each(count))
    rows = max(1, (3000 if curriculum.most >= 12 else 1500) // length)
    sequences = [sequence(encoder, draws, names, count, curriculum.reversals(), repeats) for _ in range(rows)]
    return batch(sequences, pad), count


def optimizers(model: Lfm2ForCausalLM) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Muon for the matrices inside, AdamW for embeddings, convolutions and norms."""
    inside = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    rest = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    muon = torch.optim.Muon(inside, lr=1.0, momentum=0.95, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    return muon, torch.optim.AdamW(rest, lr=1.0, betas=(0.9, 0.98), weight_decay=0.0)


def rates(curriculum: Curriculum, step: int, read: int, budget: int) -> tuple[float, float]:
    """Learning rates of the two optimizers: warm-up, lower from four facts on, falling over the last third."""
    factor = min(1.0, (step + 1) / WARMUP) * min(1.0, max(0.02, 3 * (1 - read / budget)))
    return (4e-3 * factor, 3e-3 * factor) if curriculum.most < 4 else (2e-3 * factor, 2e-3 * factor)


class Training:
    """A training that can be stopped and started again."""

    def __init__(self, seed: int, budget: int = BUDGET) -> None:
        torch.set_num_threads(1)
        self.seed, self.budget = seed, budget
        self.tokenizer = make_tokenizer()
        self.model = make_model(self.tokenizer, seed)
        self.curriculum = Curriculum()
        self.step = 0
        self.read = 0
        """tokens so far"""
        self._encoder = Encoder(self.tokenizer)
        self._optimizers = optimizers(self.model)

    def steps(self) -> Iterator[tuple[int, float, dict[int, float]]]:
        """One step after another until the budget is read: how many facts, the loss, the measures."""
        self.model.train()
        while self.read < self.budget:
            data, count = step_batch(self._encoder, self.tokenizer.pad_token_id, self.curriculum, self.seed, self.step)
            for optimizer, rate in zip(
                self._optimizers, rates(self.curriculum, self.step, self.read, self.budget), strict=True
            ):
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                logits = self.model(input_ids=data.ids, use_cache=False).logits
            loss = loss_of(logits, data)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
            for optimizer in self._optimizers:
                optimizer.step()
            measured = measures(logits, data)
            self.curriculum.learn(count, measured)
            self.step += 1
            self.read += data.ids.numel()
            yield count, loss.item(), measured

    def save(self, file: Path) -> None:
        """Write a checkpoint, all of it or nothing."""
        state = {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "curriculum": self.curriculum.state(),
            "step": self.step,
            "read": self.read,
        }
        scratch = file.with_suffix(".part")
        torch.save(state, scratch)
        scratch.replace(file)

    def restore(self, file: Path) -> None:
        """Go on from a checkpoint."""
        state: dict[str, Any] = torch.load(file, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.curriculum.restore(state["curriculum"])
        self.step, self.read = state["step"], state["read"]

    def export(self, folder: Path) -> None:
        """Write model and tokenizer as `transformers` reads them, in half precision."""
        halves = {name: value.to(torch.bfloat16) for name, value in self.model.state_dict().items()}
        model = make_model(self.tokenizer, self.seed).to(torch.bfloat16)
        model.load_state_dict(halves)
        model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def main() -> None:
    """Train, with a line every 20 steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--checkpoint", type=Path, required=True, help="file to go on from, if it is there, and to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget", type=int, default=BUDGET, help="tokens to read")
    options = parser.parse_args()
    training = Training(options.seed, options.budget)
    if options.checkpoint.exists():
        training.restore(options.checkpoint)
    options.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    for count, loss, _ in training.steps():
        if training.step % 20 == 0:
            means = " ".join(f"{name}:{mean:.2f}" for name, mean in sorted(training.curriculum.means.items()))
            print(
                f"step {training.step} tokens {training.read} seconds {time.monotonic() - started:.0f} "
                f"stage {training.curriculum.stage} facts {count} loss {loss:.3f} {means}",
                flush=True,
            )
        if training.step % _EVERY == 0:
            training.save(options.checkpoint)
    training.save(options.checkpoint)
    training.export(options.out)


if __name__ == "__main__":
    main()
