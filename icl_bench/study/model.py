"""The model of a study: loaded for each cell anew, on the device that there is; its window, and what identifies it."""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from icl_bench.errors import IclBenchError
from icl_bench.tables import file_sha256

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_WEIGHTS = ("*.safetensors", "*.bin", "*.json", "tokenizer.model")


class Source:
    """A causal model of transformers: a folder, or a name on the Hub.

    Raises:
        IclBenchError: it does not exist, or is no causal model.
    """

    def __init__(self, name: str) -> None:
        from transformers import AutoConfig, AutoTokenizer
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

        self.name = name
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

    def load(self) -> PreTrainedModel:
        """Its weights, in single precision: mixed precision is the trainer's matter.

        Raises:
            IclBenchError: they cannot be loaded.
        """
        from transformers import AutoModelForCausalLM

        try:
            model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(self.name, dtype=torch.float32)
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            raise IclBenchError(f"--model {self.name} cannot be loaded: {_first(error)}") from None
        return model.to(device())


def device() -> torch.device:
    """The first GPU, if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bfloat16() -> bool:
    """Whether the device computes in bfloat16 by itself."""
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def _first(error: BaseException) -> str:
    return " ".join(str(error).split("\n")[0].split())[:300] or type(error).__name__
