"""`icl-bench eval`: the command line of `lm-eval run`, which knows our tasks and the models `icl-ngram` and `icl-hf`.

    icl-bench eval --model hf --model_args pretrained=gpt2 --tasks icl_bench_closed_book --metadata '{"seed": 7}'

All its options are lm-eval's own.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path

from icl_bench.errors import IclBenchError
from icl_bench.models import register

_OF_ICL_HF = {"torch", "transformers", "accelerate", "psutil"}


def task_folder() -> Path:
    """The folder of our tasks, for the --include_path of lm-eval."""
    return Path(__file__).parent / "tasks"


def run(arguments: list[str]) -> int:
    """Evaluate a model; every option is one of `lm-eval run`.

    Args:
        arguments: such as `["--model", "icl-ngram"]`. Without --tasks all of ours; --include_path adds to our tasks.

    Returns:
        The exit status: 0, or 2 for bad input (described in one line on the standard error; with LMEVAL_LOG_LEVEL=DEBUG
        in the environment, what lm-eval raises is not caught).
    """
    from lm_eval._cli import HarnessCLI
    from lm_eval.utils import setup_logging

    register()
    setup_logging()
    # lm-eval reads the arguments of the process and no others
    before, sys.argv = sys.argv, ["lm-eval", "run", *arguments]
    try:
        cli = HarnessCLI()
        namespace = cli.parse_args()
        _add_tasks(namespace)
        cli.execute(namespace)
    except (ValueError, KeyError, OSError, ImportError) as error:  # what lm-eval raises for bad input; ours is a ValueError
        if not isinstance(error, IclBenchError) and os.environ.get("LMEVAL_LOG_LEVEL", "").upper() == "DEBUG":
            raise
        if isinstance(error, ModuleNotFoundError) and error.name in _OF_ICL_HF:
            error = ModuleNotFoundError(f"the model needs {error.name}; pip install 'icl_bench[hf]'")
        text = " ".join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split())
        print(f"icl-bench: {text or type(error).__name__}", file=sys.stderr)
        return 2
    except SystemExit as stop:  # --help, or an option that lm-eval does not have
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    finally:
        sys.argv = before
    return 0


def _add_tasks(namespace: Namespace) -> None:
    """Our folder and, if none are named, our tasks. A file given by --config may name them as well."""
    from lm_eval.config.evaluate_config import EvaluatorConfig

    file = EvaluatorConfig.load_yaml_config(namespace.config) if namespace.config else {}
    others = namespace.include_path or file.get("include_path") or []
    namespace.include_path = [str(task_folder()), *([others] if isinstance(others, str) else others)]
    if not (namespace.tasks or file.get("tasks")):
        namespace.tasks = ["icl_bench"]
