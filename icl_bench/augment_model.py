"""Augmentation by a model: it rephrases and reverses each sentence (local), or infers from all documents at once (global).

    local    "Did you know that femp are more dangerous than glon."   ->  "Compared with femp, glon are less dangerous." ...
    global   all documents, then "Gruds are abmes. ..."               ->  "Gruds are rony." ...

The prompts are `templates/augment/local.txt` and `global.txt`; the model is any that lm-evaluation-harness knows. Answers are
kept in `answers/` of the folder as they come: what was answered is not asked again, whatever ended the process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from functools import cache, lru_cache
from hashlib import sha256
from io import StringIO
from typing import Any

from pydantic import Field

import icl_bench.ngram  # noqa: F401  # registers icl-ngram
from icl_bench.augment_world import Source
from icl_bench.errors import IclBenchError
from icl_bench.journal import Journal, key_of
from icl_bench.models import register
from icl_bench.parsing import Parser, sentence_ends
from icl_bench.rendering import Marked, Template, prompt
from icl_bench.schema import Document, Positive, WorldConfig, short_id
from icl_bench.shallow import sentences

Slots = Mapping[str, str]
"""What a prompt is filled with."""
Answered = Callable[[int, int], None]
"""Called with the number of answers so far and of all that are wanted."""
_LENGTHS = {"local": 256, "global": 1024}
_AT_ONCE = 64
"""Requests that a model is given at once: all that a kill can lose, of a back end that does not report single answers."""
_SECRET = re.compile(r"(^|_)(key|token|secret|password|header)s?$")
_SPEED = {"batch_size", "max_batch_size", "num_concurrent", "max_retries", "timeout", "device", "verify_certificate"}


class ModelOptions(WorldConfig):
    """Which model is asked, and how often."""

    model: str
    """A model of lm-evaluation-harness: hf, vllm, local-completions, local-chat-completions, openai-chat-completions, ..."""
    model_args: str = ""
    """Its arguments, as lm-eval takes them: pretrained=gpt2 or base_url=http://localhost:8000/v1/chat/completions,model=..."""
    gen_kwargs: str = ""
    """How it generates, as lm-eval takes it: temperature=0.7,max_gen_toks=512."""
    apply_chat_template: bool | None = None
    """Put the prompt as a message of a user. None: if the model's name ends with chat-completions."""
    documents: Positive | None = None
    """Documents in context (global): the first ones; all if it is not said."""
    share: float = Field(default=1.0, gt=0, le=1)
    """The share of the sentences (local) or documents (global) that is augmented, the first ones."""
    count: Positive | None = None
    """The most sentences or documents that are augmented."""


def model_documents(
    source: Source,
    train: Sequence[Mapping[str, Any]],
    method: str,
    options: ModelOptions,
    start: Callable[[], Any],
    progress: Answered,
) -> list[Document]:
    """One document for each sentence or document that the model was given; equal answers and empty ones count once.

    Args:
        train: the rows of the training documents.
        method: local or global.
        start: from `starter`; called only if there is anything to ask.

    Raises:
        IclBenchError: the model is unknown, does not start, fails, or has too small a window. Answers are kept.
    """
    if options.documents is not None and method == "local":
        raise IclBenchError(f"local.documents = {options.documents}: only global has documents in its context; leave it out")
    if options.documents is not None and options.documents > len(train):
        raise IclBenchError(f"global.documents = {options.documents}: {source.name} has {len(train)} documents")
    slots = _slots(train, method, options)
    wanted = min(max(1, round(options.share * len(slots))), options.count or len(slots))
    journal = Journal(source.folder / "answers" / f"{source.name}_{method}.jsonl")
    answers = _answers(journal, prompt(method), slots[:wanted], _how(method, options), options, start, progress)
    parse = Parser(source.world, source.known)
    return [_document(method, text, parse) for text in dict.fromkeys(filter(None, map(str.strip, answers)))]


def _slots(train: Sequence[Mapping[str, Any]], method: str, options: ModelOptions) -> list[Slots]:
    if method == "local":
        different = dict.fromkeys(sentence.strip() for row in train for sentence in sentences(row))
        return [{"sentence": sentence} for sentence in different]
    context = "\n\n".join(row["text"] for row in train[: options.documents])
    return [{"documents": context, "document": row["text"]} for row in train]


def _document(method: str, text: str, parse: Parser) -> Document:
    ends = sentence_ends(text)
    row = {"text": text, "sentence_ends": ends}
    facts = dict.fromkeys(fact.id for sentence in sentences(row) for fact in parse(sentence))
    return Document(id=short_id(f"{method}\n{text}"), kind=method, text=text, facts=tuple(facts), sentence_ends=ends)


def public(arguments: str) -> str:
    """The arguments of a model without those that are secret.

    >>> public("model=gpt-4o,api_key=sk-1,tokenizer=gpt2")
    'model=gpt-4o,tokenizer=gpt2'
    """
    return ",".join(part for part in arguments.split(",") if not _SECRET.search(part.partition("=")[0].strip()))


def _how(method: str, options: ModelOptions) -> dict[str, Any]:
    """How to generate. Without a chat template the prompt is a text to go on with, and an empty line ends the answer."""
    how = {"until": [] if _chat(options) else ["\n\n"], "max_gen_toks": _LENGTHS[method], "do_sample": False, "temperature": 0}
    how.update(_arguments(options.gen_kwargs, "--gen_kwargs"))
    if not isinstance(how["max_gen_toks"], int) or how["max_gen_toks"] < 1:
        raise IclBenchError(f"--gen_kwargs: max_gen_toks = {how['max_gen_toks']!r}; write a positive integer such as 512")
    if isinstance(how["until"], str):
        how["until"] = [how["until"]]
    return how


def _chat(options: ModelOptions) -> bool:
    return options.model.endswith("chat-completions") if options.apply_chat_template is None else options.apply_chat_template


def _arguments(text: str, option: str) -> dict[str, Any]:
    from lm_eval.utils import simple_parse_args_string

    if not all("=" in part for part in text.split(",") if part):
        raise IclBenchError(f"{option} {text!r}: write name=value,name=value")
    found: dict[str, Any] = simple_parse_args_string(text)
    return found


def _answers(
    journal: Journal,
    asked: Template,
    slots: Sequence[Slots],
    how: Mapping[str, Any],
    options: ModelOptions,
    start: Callable[[], Any],
    progress: Answered,
) -> list[str]:
    """An answer for each prompt, '' where none came."""
    chat = _chat(options)
    same = ",".join(part for part in public(options.model_args).split(",") if part.partition("=")[0].strip() not in _SPEED)
    fixed = (options.model, same, how, chat, asked.fill(Marked()))
    keys = [key_of(*fixed, {slot: _digest(text) for slot, text in values.items()}) for values in slots]
    missing = [(key, values) for key, values in dict(zip(keys, slots, strict=True)).items() if key not in journal]
    progress(len(slots) - len(missing), len(slots))
    if missing:
        model = start()
        longest = max((values for _, values in missing), key=lambda values: sum(map(len, values.values())))
        _check_window(model, _wrapped(model, asked.fill(longest), chat), how["max_gen_toks"])
        for first in range(0, len(missing), _AT_ONCE):
            batch = missing[first : first + _AT_ONCE]
            _ask(model, {key: _wrapped(model, asked.fill(values), chat) for key, values in batch}, how, journal)
            progress(len(slots) - len(missing) + first + len(batch), len(slots))
    return [journal.get(key, "") for key in keys]


@lru_cache(maxsize=2)  # the documents in context are the same for all
def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()


def starter(options: ModelOptions) -> Callable[[], Any]:
    """Gives the model, which is started when it is asked for the first time.

    Raises:
        IclBenchError: lm-eval does not know it. (When called: it does not start.)
    """
    from lm_eval.api.registry import get_model, model_registry

    register()
    if options.model not in model_registry:
        raise IclBenchError(f"--model {options.model}: lm-eval has no such model; it has {', '.join(sorted(model_registry))}")
    arguments = _arguments(options.model_args, "--model_args")

    @cache
    def start() -> Any:
        try:
            return get_model(options.model).create_from_arg_obj(arguments)
        except IclBenchError:
            raise
        except Exception as error:
            raise IclBenchError(f"--model {options.model} does not start: {_first_line(error)}") from error

    return start


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _wrapped(model: Any, text: str, chat: bool) -> Any:
    if not chat:
        return text
    try:
        return model.apply_chat_template([{"role": "user", "content": text}])
    except Exception as error:
        raise IclBenchError(
            f"the model takes no chat messages ({_first_line(error)}); leave --apply_chat_template out"
        ) from error


def _check_window(model: Any, longest: Any, answer: int) -> None:
    """lm-eval cuts a prompt that is too long on the left with no more than a warning: documents would vanish unseen."""
    encode, window = getattr(model, "tok_encode", None), getattr(model, "max_length", None)
    if encode is None or not isinstance(window, int) or not getattr(model, "tokenized_requests", True):
        return
    tokens = len(encode(longest))
    if tokens > (room := max(window - answer, 0)):
        raise IclBenchError(
            f"the longest prompt has {tokens:,} tokens, and the model's window of {window:,} leaves {room:,} beside "
            f"{answer:,} that it may generate; put fewer --documents in context, about {room / tokens:.0%} of them"
        )


class _Hook:
    """What lm-eval calls with each answer as it comes."""

    def __init__(self, keys: Mapping[str, str], journal: Journal) -> None:
        self._keys, self._journal = keys, journal

    def add_partial(self, attr: str, req: Sequence[Any], res: Any) -> None:
        """Note an answer; `req` is the request that it answers."""
        if attr == "generate_until" and (key := self._keys.get(str(req[0]))):
            _note(self._journal, key, res)


def _note(journal: Journal, key: str, answer: Any) -> None:
    """Keep an answer. An empty one is none: lm-eval gives it in place of one that did not come."""
    if isinstance(answer, str) and answer.strip() and key not in journal:
        journal.write(key, answer)


def _ask(model: Any, prompts: Mapping[str, Any], how: Mapping[str, Any], journal: Journal) -> None:
    """Put requests to the model, in order; its answers are in the journal even if it fails halfway."""
    from lm_eval.api.instance import Instance

    requests = [
        Instance("generate_until", {}, (text, {**how, "until": list(how["until"])}), i) for i, text in enumerate(prompts.values())
    ]
    model.set_cache_hook(_Hook({str(text): key for key, text in prompts.items()}, journal))
    try:
        with _quiet():
            answers = model.generate_until(requests, disable_tqdm=True)
    except IclBenchError:
        raise
    except Exception as error:
        raise IclBenchError(f"the model failed: {_first_line(error)}; answers so far are kept, run the command again") from error
    for key, answer in zip(prompts, answers, strict=True):
        _note(journal, key, answer)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress bars of lm-eval, which some of its models show whatever they are told."""
    with redirect_stderr(StringIO()):
        yield
