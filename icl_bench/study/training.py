"""Fine-tuning by TRL's SFTTrainer, which goes on from its last whole checkpoint.

What is measured, during training and in the end, is never the model that is trained, which trainers wrap and patch, but a
fresh one in the precision of scoring, with the trained weights in it: trained or not, models are scored alike.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate.utils.memory import clear_device_cache
from datasets import Dataset
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from transformers import PrinterCallback, TrainerCallback, set_seed
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from icl_bench.study.model import Source, device
from icl_bench.study.settings import Training

Validate = Callable[[Any], dict[str, float]]
"""From a model to its accuracy at each kind of question."""
Step = Callable[[int, int], None]
"""Told how many steps are done, and of how many."""


class Trained(NamedTuple):
    """A fine-tuned model, and how it came about."""

    model: Any
    """of transformers, or with `lora` of peft, with its matrices beside the others"""
    steps: int
    tokens: int
    """Tokens read, without padding; those read again count again."""
    losses: list[dict[str, float]]
    """step and loss, the mean since the entry before"""
    validation: list[dict[str, Any]]
    """step and, for each kind of question, accuracy"""


def finetune(
    source: Source,
    texts: Sequence[str],
    options: Training,
    steps: int,
    seed: int,
    checkpoints: Path,
    validate: Validate,
    stepped: Step = lambda done, of: None,
) -> Trained:
    """Train on texts, each a sequence of its own.

    Args:
        checkpoints: a folder. If a training that was killed has left checkpoints there, it is gone on with; equal seeds
            give equal weights either way, on a GPU up to the order in which it adds.
        validate: measures the model before the first step, and every `options.validate_every` steps.
    """
    scored = _Scored(source, options)
    set_seed(seed % 2**32)
    config = SFTConfig(
        output_dir=str(checkpoints),
        max_steps=steps,
        per_device_train_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        lr_scheduler_type=options.schedule,
        warmup_steps=min(options.warmup_steps, steps),
        weight_decay=options.weight_decay,
        max_length=None,
        packing=False,
        bf16=source.dtype == torch.bfloat16,
        use_cpu=device().type == "cpu",
        gradient_checkpointing=options.gradient_checkpointing,
        seed=seed % 2**32,
        data_seed=seed % 2**32,
        logging_steps=min(options.checkpoint_every, steps),  # so that no mean spans a checkpoint
        save_strategy="steps",
        save_steps=options.checkpoint_every,
        save_total_limit=2,
        include_num_input_tokens_seen="non_padding",
        dataloader_pin_memory=False,
        disable_tqdm=True,
        report_to=[],
    )
    config._n_gpu = min(config.n_gpu, 1)  # the first GPU; TRL refuses to train on several in one process
    trainer = SFTTrainer(
        model=source.load(None if options.lora else torch.float32),  # what is trained is in single precision
        args=config,
        train_dataset=Dataset.from_dict({"text": list(texts)}),
        processing_class=source.tokenizer,
        peft_config=_lora(options) if options.lora else None,
        callbacks=[_Course(lambda model: validate(scored.with_weights_of(model)), options.validate_every, stepped)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=_last_whole(checkpoints))
    state, history = trainer.state, trainer.state.log_history
    model = scored.with_weights_of(trainer.model)
    del trainer
    clear_device_cache(garbage_collection=True)  # of gradients and moments
    return Trained(
        model,
        state.global_step,
        int(state.num_input_tokens_seen),
        [{"step": entry["step"], "loss": entry["loss"]} for entry in history if "loss" in entry],
        [{"step": entry["step"], "accuracy": entry["accuracy"]} for entry in history if "accuracy" in entry],
    )


class _Scored:
    """A model as it was loaded, that takes over trained weights. Casting a trained one would cast its rotary frequencies."""

    def __init__(self, source: Source, options: Training) -> None:
        self._model: Any = source.load()
        self._lora = options.lora
        if options.lora:
            self._model = get_peft_model(self._model, _lora(options))

    def with_weights_of(self, trained: Any) -> Any:
        """The model, with these weights."""
        if self._lora:
            set_peft_model_state_dict(self._model, get_peft_model_state_dict(trained))
        else:
            self._model.load_state_dict(trained.state_dict())
        return self._model


class _Course(TrainerCallback):  # type: ignore[misc]
    """Notes accuracies in the log of the trainer, which its checkpoints hold, and tells how far it is."""

    def __init__(self, validate: Validate, every: int, stepped: Step) -> None:
        self._validate, self._every, self._stepped = validate, every, stepped

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if state.global_step == 0:
            self._note(state, model)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self._stepped(state.global_step, state.max_steps)
        if state.global_step % self._every == 0 or state.global_step == state.max_steps:
            self._note(state, model)

    def _note(self, state: Any, model: Any) -> None:
        state.log_history.append({"step": state.global_step, "accuracy": self._validate(model)})


def _lora(options: Training) -> LoraConfig:
    return LoraConfig(
        r=options.lora_rank, lora_alpha=options.lora_alpha, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM"
    )


def _last_whole(checkpoints: Path) -> str | None:
    """The last checkpoint that was written to its end (its state is written last). Torn ones are removed."""
    found: dict[int, Path] = {}
    for folder in checkpoints.glob("checkpoint-*"):
        try:
            found[json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))["global_step"]] = folder
        except (OSError, ValueError, KeyError):
            shutil.rmtree(folder, ignore_errors=True)
    return str(found[max(found)]) if found else None
