"""`icl-hf`: lm-eval's `hf`, which computes what prompts begin with once. It gives the same answers.

    icl-bench eval --model icl-hf --model_args pretrained=Qwen/Qwen3-0.6B-Base --tasks icl_bench_reversal_in_context
    accelerate launch -m icl_bench eval --model icl-hf ...          several GPUs: each takes some of the questions
    icl-bench eval --model icl-hf --model_args pretrained=...,parallelize=true       a model that needs several GPUs

or from Python, with tasks of any kind:

    import icl_bench.scoring
    lm_eval.simple_evaluate(model="icl-hf", model_args={"pretrained": "Qwen/Qwen3-0.6B-Base"}, tasks=["mmlu"])

With 40,000 tokens of documents, 500 questions and 4 choices each, `hf` computes 80 million tokens, this 0.06 million:
all requests form a tree (documents -> question -> choices; see `prefix_tree`), and each token of it is computed once. How
that is done depends on the model (see `packing` and `expanding`): it is chosen by its configuration, and its first answers are
compared with a plain forward pass. Where they differ, the next way is tried, with a warning, and lm-eval's is the last.

All arguments are those of `hf`. `batch_size` matters only for generation and where prompts share nothing, which is left
to `hf`; the sizes of passes follow from the free memory, and are halved when it runs out.

Differences from `hf`: a prompt longer than the model's window is refused and not cut on the left, unless
`allow_truncation=true`; log-probabilities are taken in float32, if `softmax_dtype` does not say otherwise, where `hf` has
those of the model's precision. What is sampled (`do_sample`) depends on how prompts are grouped, and so differs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

from lm_eval.api.instance import Instance
from lm_eval.api.registry import register_model
from lm_eval.models.utils import _add_special_kwargs, has_bos_prefix
from tqdm import tqdm

from icl_bench.errors import IclBenchError
from icl_bench.scoring.generation import REMEDY, SharedGeneration, tree_of
from icl_bench.scoring.runs import Answer, Run
from icl_bench.scoring.shared_tokens import Text, Tokens, encode

_WORTH_IT = 0.9
"""Where the tree has more than this share of the tokens of all prompts, they share nothing."""


@register_model("icl-hf")
class ICLHF(SharedGeneration):
    """See the module.

    Args:
        *arguments, **options: those of lm-eval's `HFLM`, and `allow_truncation`: cut prompts that are longer than the
            model's window on the left, as `hf` does.
    """

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[Answer]:
        """For each (context, continuation): its log-probability in nats, and whether it is what greedy decoding yields.

        Raises:
            IclBenchError: a prompt with its continuation does not fit the window, or one of them has no tokens.
        """
        if self.backend != "causal" or self.enable_thinking or not requests:
            return super().loglikelihood(requests, disable_tqdm=disable_tqdm)  # type: ignore[no-any-return]
        pairs = self._encode_pairs([request.args for request in requests])
        answers = self._in_tree(requests, pairs, disable_tqdm)
        if answers is None:
            named = [(request.args, list(context), rest) for request, (context, rest) in zip(requests, pairs, strict=True)]
            return self._loglikelihood_tokens(named, disable_tqdm=disable_tqdm)  # type: ignore[no-any-return]
        for request, answer in zip(requests, answers, strict=True):
            self.cache_hook.add_partial("loglikelihood", request.args, answer)
        return answers

    def _encode_pairs(self, texts: Sequence[Text]) -> list[tuple[Tokens, list[int]]]:
        """The tokens of contexts and continuations, by lm-eval's rules (`TemplateLM.loglikelihood`, `_encode_pair`)."""
        moved = []
        for context, continuation in texts:
            stripped = context.rstrip()  # spaces belong to the continuation
            moved.append((stripped, context[len(stripped) :] + continuation) if context else ("", continuation))
        parts = [part for context, rest in moved if context for part in ((context, rest), (context, ""))]
        encoded = encode(parts, self.tok_encode, self.tokenizer, self._special)
        pairs = []
        for (context, continuation), (stripped, rest) in zip(texts, moved, strict=True):
            if stripped:
                before, whole = encoded[stripped, ""], encoded[stripped, rest]
                pair = before, _from(whole, len(before))
            elif context:
                tokens, scored = self._encode_pair(context, continuation)
                pair = Tokens([], tokens), scored
            else:
                scored = self.tok_encode(continuation, add_special_tokens=False)
                begins = scored[:1] == [self.prefix_token_id]
                pair = Tokens([], [self.prefix_token_id]), scored[begins:]
            self._check_length(len(pair[0]), len(pair[1]), context, continuation)
            pairs.append(pair)
        return pairs

    def _special(self, text: str) -> dict[str, bool]:
        """The arguments with which `tok_encode` calls the tokenizer."""
        if has_bos_prefix(text, self.tokenizer.decode(self.prefix_token_id)):
            return {"add_special_tokens": False}
        return _add_special_kwargs(None, self.add_bos_token)  # type: ignore[no-any-return]

    def _check_length(self, context: int, rest: int, *texts: str) -> None:
        if not context or not rest:
            raise IclBenchError(f"a prompt ending in {texts[0][-20:]!r} or its continuation {texts[1][:20]!r} has no tokens")
        if context + rest > self.max_length + 1 and not (self.allow_truncation and rest <= self.max_length):
            raise IclBenchError(
                f"a prompt of {context:,} tokens with {rest:,} to score is longer than the model's window of "
                f"{self.max_length:,}; {REMEDY}"
            )

    def _in_tree(
        self, requests: Sequence[Instance], pairs: Sequence[tuple[Tokens, list[int]]], disable_tqdm: bool
    ) -> list[Answer] | None:
        """The answers, or None where `hf` is to give them."""
        tree, ends = tree_of([self._input(*pair) for pair in pairs])
        inputs = {(id(context.shared), *context.own, *scored[:-1]): len(context) + len(scored) - 1 for context, scored in pairs}
        # with several processes, `hf` may wait for one that has nothing to leave to it
        if tree.size > _WORTH_IT * sum(inputs.values()) and not (self.world_size > 1 and self.batch_size == "auto"):
            return None
        for i, (end, (_, scored)) in enumerate(zip(ends, pairs, strict=True)):
            tree.ask(i, end, scored)

        def task(run: Callable[..., Run]) -> list[Answer]:
            with _Progress(requests, disable_tqdm or self.rank != 0) as progress:
                return run(tree, len(requests), progress.finished).answers()

        longest = max(end.end for end in ends)
        ways = self.ways.left(longest)
        for way, following in pairwise([*ways, "hf"]):
            if answers := self.ways.try_one(way, following, longest, task):
                return answers  # type: ignore[no-any-return]
        return None

    def _input(self, context: Tokens, scored: Sequence[int]) -> Tokens:
        """What the model reads: all but the last token, and no more than it can (see `HFLM._loglikelihood_tokens`)."""
        if len(context) + len(scored) <= self.max_length + 1:
            return Tokens(context.shared, [*context.own, *scored[:-1]])
        return Tokens([], [*context, *scored][-(self.max_length + 1) : -1])


class _Progress:
    """A bar that counts questions, and estimates when the last will be answered."""

    def __init__(self, requests: Sequence[Instance], disable: bool) -> None:
        self._question = [request.args[0] for request in requests]
        self._left = Counter(self._question)
        self._bar = tqdm(total=len(self._left), desc="icl-hf", unit="question", disable=disable)

    def finished(self, request: int) -> None:
        """One choice of a question is scored."""
        question = self._question[request]
        self._left[question] -= 1
        if not self._left[question]:
            self._bar.update()

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def _from(tokens: Tokens, start: int) -> list[int]:
    """The tokens from a place on."""
    if start >= len(tokens.shared):
        return tokens.own[start - len(tokens.shared) :]
    return [*tokens][start:]
