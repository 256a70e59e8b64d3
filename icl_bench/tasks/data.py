"""What the YAML files of this folder name: data, metrics, and a task whose documents stand before each question.

    You may know that femp are more dangerous than glon.      few-shot examples: the first --num_fewshot documents

    glon are                                                  the question
     less dangerous than femp. |  more dangerous than femp.   the choices, whose likelihoods are compared

What this prompt is made of, `lm-eval run` decides: `--metadata '{"seed": 7}'` is another world.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_eval.api.task import ConfigurableTask

from icl_bench.errors import IclBenchError
from icl_bench.tasks.context import JoinedDocuments, OracleDocuments, Row
from icl_bench.tasks.window import check_window

if TYPE_CHECKING:
    from datasets import DatasetDict


def load(
    dataset: str,
    kind: str,
    seed: int | None = None,
    path: str | None = None,
    config: Mapping[str, Any] | None = None,
    **_: object,
) -> DatasetDict:
    """The documents of a dataset and its questions of one kind.

    lm-eval passes a task's `dataset_kwargs` and all of its metadata, which is --metadata and --model_args together: so
    arguments that are meant for a model arrive here too and are ignored.

    Args:
        dataset: `reversal`, ...
        kind: which questions, from whatever split holds them.
        seed: generate the world of this seed. Without seed, path and config: the released tables. A `seed` among
            --model_args (vLLM has one) is taken for this one; `--metadata '{"seed": null}'` prevents it.
        path: a folder of tables, or an id on the Hugging Face Hub, to read instead.
        config: fields of datasets, such as `{"reversal.facts": 1000}`.

    Returns:
        `train` (documents, in coverage order) and `test` (questions).

    Raises:
        IclBenchError: an unknown dataset, field or kind, or a value that does not fit.
    """
    from datasets import DatasetDict, concatenate_datasets

    splits = tables(dataset, seed, path, config)
    asked = concatenate_datasets([splits["validation"], splits["test"]])
    kinds = list(asked["kind"])
    if kind not in kinds:
        there = ", ".join(dict.fromkeys(kinds)) or "none"
        raise IclBenchError(f"{dataset} has no questions of kind {kind!r}; it has {there}")
    return DatasetDict(train=splits["train"], test=asked.select([i for i, k in enumerate(kinds) if k == kind]))


def tables(dataset: str, seed: int | None, path: str | None, config: Mapping[str, Any] | None) -> DatasetDict:
    """All splits of a dataset; the arguments are those of `load`."""
    if not isinstance(config, Mapping | None):
        raise IclBenchError(f"config = {config!r} is no mapping; write {{'reversal.facts': 1000}}")
    if not isinstance(seed, int | None) or isinstance(seed, bool):
        raise IclBenchError(f"seed = {seed!r} is no integer; write an integer such as 7")
    if not isinstance(path, str | None):
        raise IclBenchError(f"path = {path!r} is no text; write a folder of tables or a Hub id like 'owner/name'")
    manifest = Path(path or "", "manifest.json")
    hashes = manifest.read_text(encoding="utf-8") if path and manifest.is_file() else ""
    return _tables(dataset, seed or 0, path, json.dumps(_fields(dataset, config or {}), sort_keys=True), hashes)


def _fields(dataset: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of one dataset among `{"dataset.field": value}`."""
    from icl_bench.loading import configs

    known = configs()
    fields = {}
    for key, value in config.items():
        name, dot, field = key.partition(".")
        if not dot or name not in known or known[name][0] != name:
            names = ", ".join(name for name, (its_dataset, _) in known.items() if name == its_dataset)
            raise IclBenchError(f"config sets {key!r}; write dataset.field, where the dataset is one of {names}")
        if name == dataset:
            fields[field] = value
    return fields


@lru_cache(maxsize=8)
def _tables(dataset: str, seed: int, path: str | None, fields: str, hashes: str) -> DatasetDict:
    """The tables; `hashes` only tells a folder from itself after it was generated again."""
    from icl_bench.loading import load_dataset

    return load_dataset(dataset, seed=seed, path=path, **json.loads(fields))


def process_results(doc: Row, results: Sequence[tuple[float, bool]]) -> dict[str, float]:
    """Metrics of one question.

    Args:
        doc: the question.
        results: for each choice its log-likelihood and whether greedy decoding yields it.

    Returns:
        `acc`: is the likeliest choice an answer? `acc_norm`: the same by likelihood per character. `chance`: the share
        of the choices that are answers.
    """
    likelihoods = [likelihood for likelihood, _ in results]
    by_length = [likelihood / len(choice) for likelihood, choice in zip(likelihoods, doc["choices"], strict=True)]
    return {
        "acc": float(_likeliest(likelihoods) in doc["answer"]),
        "acc_norm": float(_likeliest(by_length) in doc["answer"]),
        "chance": len(doc["answer"]) / len(likelihoods),
    }


def process_results_decided(doc: Row, results: Sequence[tuple[float, bool]]) -> dict[str, float]:
    """`process_results`, and the same without the weaker conclusions, which are true but say less than the answer.

    Returns:
        also `acc_decided` and `chance_decided`.
    """
    left = [i for i in range(len(results)) if i not in doc["weaker"]]
    best = left[_likeliest([results[i][0] for i in left])]
    decided = {"acc_decided": float(best in doc["answer"]), "chance_decided": len(doc["answer"]) / len(left)}
    return process_results(doc, results) | decided


def _likeliest(scores: Sequence[float]) -> int:
    return max(range(len(scores)), key=scores.__getitem__)


class QuestionsTask(ConfigurableTask):  # type: ignore[misc]
    """lm-eval's own task, with prompts the same to the byte, and these differences:

    * in context, the default is all documents, or one in `subsample` of `dataset_kwargs` (rounded up);
    * with `oracle` in the metadata, each question has documents of its own (see `context.py`), and --num_fewshot is refused;
    * the documents are joined once;
    * with a chat template, documents and question are one message of the user: the documents are no conversation;
    * a prompt that is longer than the model's window is refused (see `window.py`).
    """

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        super().__init__(config={key: value for key, value in (config or {}).items() if key != "class"})
        options = self.config.dataset_kwargs or {}
        documents, dataset = self.dataset["train"], options["dataset"]
        oracle = (self.config.metadata or {}).get("oracle")
        if self.config.num_fewshot is None and oracle is not None:
            self.sampler: Any = OracleDocuments(list(documents), dataset, oracle)
            self.config.num_fewshot = self.sampler.shots
            return
        self.sampler = JoinedDocuments(list(documents["text"]), dataset)
        if self.config.num_fewshot is None:
            self.config.num_fewshot = -(-len(self.sampler.texts) // options.get("subsample", 1))

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **_: object) -> None:
        """Load the data. A model argument that has the name of one of our own is no clash: ours counts."""
        self.dataset = self.config.custom_dataset(**(self.config.metadata or {}) | (dataset_kwargs or {}))

    def fewshot_context(self, doc: Row, num_fewshot: int, **options: Any) -> Any:
        """The prompt of one question: a string, or for a chat model behind an API whatever its chat template makes."""
        options["fewshot_as_multiturn"] = False
        self.sampler.ask(doc)
        return super().fewshot_context(doc, num_fewshot, **options)

    def build_all_requests(self, **options: Any) -> None:
        """All prompts with all choices.

        Raises:
            IclBenchError: more documents are asked for than there are, or both a number and an oracle, or the model cannot
                read all of a prompt.
        """
        oracle = isinstance(self.sampler, OracleDocuments)
        if oracle and self.config.num_fewshot != self.sampler.shots:
            raise IclBenchError(f"--num_fewshot {self.config.num_fewshot} and oracle in --metadata; leave one of them out")
        # lm-eval names the files of its cache of prompts by task alone: another seed would get the prompts of this one
        super().build_all_requests(**options | {"cache_requests": False})
        check_window(
            self.task_name,
            [request.args for request in self.instances],
            self.sampler.texts[: self.config.num_fewshot],
            self.config.metadata or {},
            "ask for fewer with oracle in --metadata" if oracle else None,
        )
