"""The models of this package are known to lm-eval wherever it is used, and load nothing until they are asked for."""

import subprocess
import sys


def test_both_are_known_and_torch_is_not_loaded():
    code = """
import sys
from icl_bench.models import register
register()
register()
from lm_eval.api.registry import get_model, model_registry
assert {"icl-ngram", "icl-hf", "hf"} <= set(model_registry)
loaded = get_model("icl-ngram").__name__
print(loaded, "torch" in sys.modules, "icl_bench.scoring" in sys.modules)
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == ["NGramLM", "False", "False"]


def test_each_starts_when_it_is_asked_for_by_name():
    code = """
from icl_bench.models import register
register()
from lm_eval.api.registry import get_model
print(get_model("icl-hf").__name__, get_model("icl-ngram").__name__)
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == ["ICLHF", "NGramLM"]
