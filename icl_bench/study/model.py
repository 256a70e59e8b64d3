"""The model of a study: loaded for each cell anew, on the device that there is; its window, and what identifies it."""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils.memory import clear_device_cache

from icl_bench.errors import IclBenchError
from icl_bench.study.settings import Precision
from icl_bench.tables import file_sha256

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_WEIGHTS = ("*.safetensors", "*.bin", "*.json", "tokenizer.model")


class Source:
    """A causal model of transformers: a folder, or a name on the Hub.

    Raises:
        IclBenchError: it does not exist, or is no causal model, or the device has no bfloat16 and it was asked for.
    """

    def __init__(self, name: str, precision: Precision = "auto") -> None:
        from transformers import AutoConfig, AutoTokenizer
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

        self.name = name
        self.dtype = _dtype(precision)
        """In which it is scored, the same for all conditions."""
        if not Path(name).is_dir() and (name.startswith((".", "/", "~")) or name.count("/") > 1):
            raise IclBenchError(f"--model {name}: there is no such folder; give a folder of a model, or its name on the Hub")
        try:
            self.config = AutoConfig.from_pretrained(name)
            self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(name)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise IclBenchError(f"--model {name} cannot be loaded: {_first(error)}") from None
        if type(self.config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
            raise IclBenchError(f"--model {name} is a {self.config.model_type}, which is no causal model")
        if self.tokenizer.pad_token is None:  # padding is never learned nor read
            self.tokenizer.pad_token = self.tokenizer.eos_token

    @cached_property
    def window(self) -> int:
        """Tokens that it can read, by lm-eval's rule."""
        from lm_eval.models.utils import resolve_max_length

        return int(resolve_max_length(self.config, self.tokenizer))

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Its name, and the commit on the Hub or a hash of its files."""
        if commit := getattr(self.config, "_commit_hash", None):
            return {"name": self.name, "commit": commit}
        files = sorted({path for pattern in _WEIGHTS for path in Path(self.name).glob(pattern)})
        lines = "\n".join(f"{path.name} {file_sha256(path)}" for path in files)
        return {"name": self.name, "sha256": sha256(lines.encode()).hexdigest()}

    def load(self, dtype: torch.dtype | None = None) -> PreTrainedModel:
        """Its weights, in the precision of scoring or another. What earlier models left in memory is freed before.

        Raises:
            IclBenchError: they cannot be loaded.
        """
        from transformers import AutoModelForCausalLM

        clear_device_cache(garbage_collection=True)
        try:
            model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(self.name, dtype=dtype or self.dtype)
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            raise IclBenchError(f"--model {self.name} cannot be loaded: {_first(error)}") from None
        return model.to(device())


def device() -> torch.device:
    """The first GPU, if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _dtype(precision: Precision) -> torch.dtype:
    """bfloat16 where the device computes in it by itself, or what is asked for."""
    there = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "bfloat16" and not there:
        what = (
            f"the GPU ({torch.cuda.get_device_name()}) does not compute in it" if torch.cuda.is_available() else "there is no GPU"
        )
        raise IclBenchError(f"precision: bfloat16 was asked for, but {what}; ask for auto or float32")
    return torch.bfloat16 if there and precision != "float32" else torch.float32


def _first(error: BaseException) -> str:
    return " ".join(str(error).split("\n")[0].split())[:300] or type(error).__name__
