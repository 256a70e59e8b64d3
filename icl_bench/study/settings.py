"""What a study is: packaged defaults (`defaults.yaml`), over them a file of the user's, over it the options of the command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import Field, ValidationError, field_validator

from icl_bench.errors import IclBenchError
from icl_bench.schema import Frozen, Positive
from icl_bench.training import Splitting
from icl_bench.worlds import WORLDS

Condition = Literal["pretrained", "in_context", "oracle", "finetuned", "augmented"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
IN_CONTEXT = ("in_context", "oracle")
TRAINED = ("finetuned", "augmented")
Precision = Literal["auto", "bfloat16", "float32"]
_DEFAULTS = Path(__file__).parent / "defaults.yaml"
_WIDTH = ("datasets", "conditions", "seeds", "documents_curve")
"""What may differ between two commands that fill the same folder."""


def _check_datasets(names: Iterable[str]) -> None:
    for name in names:
        if name not in WORLDS:
            raise ValueError(f"there is no dataset {name!r}; there are {', '.join(WORLDS)}")


class Training(Frozen):
    """How a model is fine-tuned."""

    batch_size: Positive
    learning_rate: float = Field(gt=0)
    schedule: Literal["linear", "cosine", "constant", "constant_with_warmup"]
    warmup_steps: int = Field(ge=0)
    weight_decay: float = Field(ge=0)
    splitting: Splitting
    steps: dict[str, Positive]
    """Dataset -> steps of the optimizer."""
    steps_augmented: dict[str, Positive]
    """The same for the condition `augmented`, where it differs."""
    lora: bool
    """Train matrices of low rank beside all linear layers, instead of all weights."""
    lora_rank: Positive
    lora_alpha: Positive
    gradient_checkpointing: bool
    """Less memory, more time."""
    validate_every: Positive
    """Steps between two measurements of accuracy, which choose nothing: they are for figures alone."""
    validation_questions: Positive
    checkpoint_every: Positive

    def steps_of(self, dataset: str, condition: str) -> int:
        """How long a cell is trained."""
        longer = self.steps_augmented if condition == "augmented" else {}
        return longer.get(dataset, self.steps[dataset])


class Augmentation(Frozen):
    """What the condition `augmented` reads beside the training documents."""

    method: Literal["closure", "local", "global"]
    options: dict[str, dict[str, Any]]
    """Dataset -> options of `icl-bench augment`."""

    @field_validator("options")
    @classmethod
    def _keys(cls, options: dict[str, Any]) -> dict[str, Any]:
        _check_datasets(options)
        return options


class Settings(Frozen):
    """All that a study depends on, apart from the machine."""

    model: str
    datasets: Annotated[tuple[str, ...], Field(min_length=1)]
    conditions: Annotated[tuple[Condition, ...], Field(min_length=1)]
    seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    """Of worlds; training takes the same."""
    documents: dict[str, Positive]
    """Dataset -> how many in context; elsewhere as many as the tasks take."""
    documents_curve: tuple[Positive, ...]
    """Smaller numbers of documents, each scored as well."""
    oracle: int = Field(ge=0)
    """Random documents beside those that prove the answer."""
    precision: Precision
    fields: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Dataset -> fields of its configuration."""
    training: Training
    augmentation: Augmentation

    @field_validator("datasets")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        _check_datasets(names)
        return tuple(dict.fromkeys(names))

    @field_validator("documents", "fields")
    @classmethod
    def _keys(cls, by_dataset: dict[str, Any]) -> dict[str, Any]:
        _check_datasets(by_dataset)
        return by_dataset

    @field_validator("conditions", mode="before")
    @classmethod
    def _conditions(cls, names: Any) -> Any:
        for name in names if isinstance(names, (list, tuple)) else ():
            if name not in CONDITIONS:
                raise ValueError(f"there is no condition {name!r}; there are {', '.join(CONDITIONS)}")
        return tuple(dict.fromkeys(names)) if isinstance(names, (list, tuple)) else names

    @field_validator("seeds", "documents_curve")
    @classmethod
    def _once(cls, numbers: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(numbers))

    def shared(self) -> dict[str, Any]:
        """What all cells of a folder have in common, on which results depend."""
        dumped = {key: value for key, value in self.model_dump(mode="json").items() if key not in _WIDTH}
        del dumped["training"]["gradient_checkpointing"]  # the same results, with less memory
        return dumped


def settings(given: Mapping[str, Any], config: Path | None = None) -> Settings:
    """Defaults, a file and options, each over the former.

    Args:
        given: fields of `Settings`, nested; the options of the command.
        config: a YAML file with the same fields.

    Raises:
        IclBenchError: a file that cannot be read, a field that there is not, a value that does not fit, steps that are
            not said, fields of a dataset that is not studied.
    """
    merged = _merge(_merge(_read(_DEFAULTS), _read(config) if config else {}), given)
    try:
        made = Settings(**merged)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            known = Training.model_fields if place.startswith("training.") else Settings.model_fields
            raise IclBenchError(f"there is no setting {place}; there are {', '.join(known)}") from None
        if first["type"] == "missing":
            raise IclBenchError(f"{place} is not said; give --{place}, or say it in --config") from None
        raise IclBenchError(f"{place}: {reason}" if place else reason) from None
    for name in made.datasets:
        if name not in made.training.steps:
            raise IclBenchError(f"training.steps does not say how many steps for {name}")
    if unused := [name for name in given.get("fields", {}) if name not in made.datasets]:
        raise IclBenchError(f"--set names {unused[0]!r}, which is not studied; datasets are {', '.join(made.datasets)}")
    return made


def _read(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise IclBenchError(f"--config {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise IclBenchError(f"--config {path} is no YAML: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(found, dict):
        raise IclBenchError(f"--config {path} holds no settings; write such as training: {{batch_size: 8}}")
    return found


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
