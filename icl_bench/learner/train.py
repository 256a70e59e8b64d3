"""Train the reference learner: python -m icl_bench.learner.train --out build/reference-learner

Every step reads another world, of an odd seed from 2**31 on: no benchmark uses these, and worlds of even seeds share no
listed word with them. The same seed gives the same weights on the same machine, also if it was stopped and started again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from icl_bench.learner.batches import batch, loss_of, measures
from icl_bench.learner.curriculum import Curriculum
from icl_bench.learner.mixture import sequences
from icl_bench.learner.model import make_model
from icl_bench.learner.text import Encoder
from icl_bench.learner.tokenizer import make_tokenizer

if TYPE_CHECKING:
    from transformers import Lfm2ForCausalLM

BUDGET = 16_500_000
"""Tokens to read."""
WARMUP = 30
CLIP = 1.0
_EVERY = 100
"""Steps between checkpoints."""


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

    def steps(self) -> Iterator[tuple[str, int, float]]:
        """One step after another until the budget is read: its dataset, how many facts a sequence held, the loss."""
        self.model.train()
        while self.read < self.budget:
            made, dataset, count = sequences(self._encoder, self.curriculum, self.seed, self.step, self.read)
            data = batch(made, self.tokenizer.pad_token_id)
            for optimizer, rate in zip(self._optimizers, rates(self.curriculum, self.step, self.read, self.budget), strict=True):
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                logits = self.model(input_ids=data.ids, use_cache=False).logits
            loss = loss_of(logits, data)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
            for optimizer in self._optimizers:
                optimizer.step()
            measured = measures(logits, data)
            self.curriculum.learn(count if dataset == "reversal" else 0, measured)
            self.step += 1
            self.read += data.ids.numel()
            yield dataset, count, loss.item()

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
        file = folder / "tokenizer_config.json"
        named = json.loads(file.read_text(encoding="utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}
        file.write_text(json.dumps(named, indent=1) + "\n", encoding="utf-8")  # a name that older versions know too


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
    for dataset, count, loss in training.steps():
        if training.step % 20 == 0:
            means = " ".join(f"{name}:{mean:.2f}" for name, mean in sorted(training.curriculum.means.items()))
            print(
                f"step {training.step} tokens {training.read} seconds {time.monotonic() - started:.0f} "
                f"stage {training.curriculum.stage} {dataset} {count} loss {loss:.3f} {means}",
                flush=True,
            )
        if training.step % _EVERY == 0:
            training.save(options.checkpoint)
    training.save(options.checkpoint)
    training.export(options.out)


if __name__ == "__main__":
    main()
