"""What the YAML files of this folder name: data, metrics, and a task whose documents stand before each question.

    You may know that femp are more dangerous than glon.      few-shot examples: the first --num_fewshot documents

    glon are                                                  the question
     less dangerous than femp. |  more dangerous than femp.   the choices, whose likelihoods are compared

What this prompt is made of, `lm-eval run` decides: `--metadata '{"seed": 7}'` is another world.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_eval.api.samplers import FirstNSampler
from lm_eval.api.task import ConfigurableTask

from icl_bench.errors import IclBenchError

if TYPE_CHECKING:
    from datasets import DatasetDict

Row = Mapping[str, Any]
_API_WINDOW = 2048
"""What lm-eval's models behind an API (`base_url`, `model`) take for their window unless `max_length` is given."""
_LOADING = ("revision", "subfolder", "trust_remote_code", "gguf_file")
"""Model arguments without which a tokenizer may not be found."""


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


class JoinedDocuments(FirstNSampler):  # type: ignore[misc]
    """The first n documents as one, so that lm-eval renders one few-shot example a question instead of thousands."""

    def __init__(self, texts: Sequence[str], dataset: str) -> None:
        super().__init__()
        self.texts = texts
        self._dataset = dataset
        self._joined = cache(lambda n: "\n\n".join(self.texts[:n]))

    def sample(self, n: int, eval_doc: Row | None = None, df: Sequence[Row] | None = None, **_: object) -> list[Row]:
        """One document that holds the first n.

        Raises:
            IclBenchError: there are fewer.
        """
        if n > (most := len(self.texts)):
            raise IclBenchError(f"--num_fewshot {n}, but {self._dataset} has {most} documents; ask for {most} or fewer")
        return [{"text": self._joined(n)}]


class QuestionsTask(ConfigurableTask):  # type: ignore[misc]
    """lm-eval's own task, with prompts the same to the byte, and these differences:

    * in context, the default is all documents, or one in `subsample` of `dataset_kwargs` (rounded up);
    * the documents are joined once;
    * with a chat template, documents and question are one message of the user: the documents are no conversation;
    * a prompt that is longer than the model's window is refused (see `check_window`).
    """

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        super().__init__(config={key: value for key, value in (config or {}).items() if key != "class"})
        options = self.config.dataset_kwargs or {}
        self.sampler: JoinedDocuments = JoinedDocuments(list(self.dataset["train"]["text"]), options["dataset"])
        if self.config.num_fewshot is None:
            self.config.num_fewshot = -(-len(self.sampler.texts) // options.get("subsample", 1))

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **_: object) -> None:
        """Load the data. A model argument that has the name of one of our own is no clash: ours counts."""
        self.dataset = self.config.custom_dataset(**(self.config.metadata or {}) | (dataset_kwargs or {}))

    def fewshot_context(self, doc: Row, num_fewshot: int, **options: Any) -> str:
        """The prompt of one question."""
        options["fewshot_as_multiturn"] = False
        prompt = super().fewshot_context(doc, num_fewshot, **options)
        assert isinstance(prompt, str)
        return prompt

    def build_all_requests(self, **options: Any) -> None:
        """All prompts with all choices.

        Raises:
            IclBenchError: more documents are asked for than there are, or the model cannot read all of a prompt.
        """
        # lm-eval names the files of its cache of prompts by task alone: another seed would get the prompts of this one
        super().build_all_requests(**options | {"cache_requests": False})
        check_window(
            self.task_name,
            [request.args for request in self.instances],
            self.sampler.texts[: self.config.num_fewshot],
            self.config.metadata or {},
        )


def check_window(task: str, prompts: Sequence[tuple[str, str]], documents: Sequence[str], metadata: Mapping[str, Any]) -> None:
    """Check that the longest prompt with its choice fits the model's window, one token of which some models need.

    lm-eval cuts longer prompts on the left with no more than a warning: facts vanish, and it looks like a failure to
    infer. What the model is, a task learns from the metadata, which includes --model_args. Nothing is checked where it
    is unknown (passed as an object; `icl-ngram`, which has no window), where transformers is not installed, or with
    `allow_truncation` in the metadata.

    Args:
        task: its name.
        prompts: (context, continuation) of every choice of every question.
        documents: texts of the documents in context.
        metadata: `pretrained` or `tokenizer` (names that transformers can load), `max_length`, `allow_truncation`.

    Raises:
        IclBenchError: the longest prompt does not fit; the message says how many documents do.
    """
    names = [name for key in ("pretrained", "tokenizer") if isinstance(name := metadata.get(key), str)]
    if metadata.get("allow_truncation") or not names:
        return
    options = tuple((key, metadata[key]) for key in _LOADING if metadata.get(key) is not None)
    loaded = _load(names[0], names[-1], options)
    if loaded is None:
        return
    tokenizer, own_window = loaded
    lengths = (metadata.get(key) for key in ("max_length", "max_model_len", "context_length"))
    api_window = _API_WINDOW if {"base_url", "model"} & set(metadata) else None
    window = int(next(filter(None, lengths), api_window or own_window))
    longest = _longest(tokenizer, prompts)
    if longest < window:
        return
    each = _token_counts(tokenizer, [f"{text}\n\n" for text in documents])
    room = window - 1 - (longest - sum(each))
    fitting = sum(total <= room for total in accumulate(each))
    remedy = f"--num_fewshot {fitting} fits" if fitting else "not one document fits"
    raise IclBenchError(
        f"{task}: its longest prompt has {longest:,} tokens, the window of {names[0]} {window:,}; {remedy}, "
        "or have it cut with allow_truncation=true in --metadata"
    )


@cache
def _load(model: str, tokenizer: str, options: tuple[tuple[str, Any], ...]) -> tuple[Any, int] | None:
    """The tokenizer and the window, the latter by the rule of lm-eval's `hf` models."""
    try:
        from lm_eval.models.utils import resolve_max_length
        from transformers import AutoConfig, AutoTokenizer
    except ImportError:
        return None
    try:
        loaded = AutoTokenizer.from_pretrained(tokenizer, **dict(options))
        config = AutoConfig.from_pretrained(model, **dict(options))
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        logging.getLogger(__name__).warning("prompts are not checked against the window of the model: %s", reason)
        return None
    return loaded, resolve_max_length(config, loaded)


def _token_counts(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]] if texts else []


def _longest(tokenizer: Any, prompts: Sequence[tuple[str, str]]) -> int:
    """Tokens of the longest prompt with its choice. What all prompts begin with is not counted for each of them."""
    contexts = {context for context, _ in prompts}
    first, last = min(contexts), max(contexts)
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    start = first.rfind("\n", 0, shared) + 1
    counts = _token_counts(tokenizer, [context[start:] + continuation for context, continuation in prompts])
    return len(tokenizer("".join(prompts[counts.index(max(counts))]))["input_ids"])
