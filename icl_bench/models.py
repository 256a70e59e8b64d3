"""The models that this package adds to lm-evaluation-harness."""

from __future__ import annotations


def register() -> None:
    """Make `icl-ngram` and `icl-hf` known to lm-eval. Neither torch nor a model is loaded until one is asked for."""
    import lm_eval.models  # noqa: F401  # registers lm-eval's own models, which it does only while there are none
    from lm_eval.api.registry import model_registry

    for name, target in (("icl-ngram", "icl_bench.ngram:NGramLM"), ("icl-hf", "icl_bench.scoring.icl_hf:ICLHF")):
        if name not in model_registry:
            model_registry.register(name, target=target)
