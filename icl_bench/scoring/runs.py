"""Scoring a tree of prompts: what all ways to do it have in common.

Parts of the tree that are too large for one pass are walked down: what they begin with goes into the cache, and is cut
off again afterwards. The others are scored together, as many in one pass as fit. When memory runs out, passes are halved.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from transformers.cache_utils import Cache

from icl_bench.errors import IclBenchError
from icl_bench.scoring.context_cache import Mark, mark, rewind
from icl_bench.scoring.forward import Machine
from icl_bench.scoring.prefix_tree import Node, PrefixTree

Answer = tuple[float, bool]
"""Log-probability of a continuation, and whether it is what greedy decoding yields."""
Found = list[tuple[int, float, bool]]
"""(sequence, log-probability of one of its tokens, whether that is the likeliest)."""
_TOKENS = {"cpu": 512}
"""In a pack: on a processor, more make attention costly before they make anything faster."""
_MOST_TOKENS = 4096
_ROWS = {"cpu": 128}
_MOST_ROWS = 256
_CHUNK = 4
"""Packs in one pass over a context."""
_STEM = 128
"""Tokens that most of the tree shares and that are worth a pass of their own."""


Asked = tuple[int, Node, int]
"""A row of logits, and the node and the place in it whose next tokens the row predicts."""
_TOLERANCE = {64: 1e-6, 32: 1e-4}
_OF_HALF_PRECISION = 5e-2
COMPARED = 8
"""Places of a sequence that are compared with a plain forward pass, at most."""


class DifferentAnswers(Exception):
    """A strategy does not give what a plain forward pass gives."""


class Run(ABC):
    """One tree, from its root to the answers.

    Args:
        machine: the model.
        tree: all sequences added and asked for.
        sequences: how many.
        finished: called with the number of each sequence when its answer is known.
    """

    def __init__(
        self, machine: Machine, tree: PrefixTree, sequences: int, finished: Callable[[int], object] = lambda _: None
    ) -> None:
        self.machine, self.tree, self._finished = machine, tree, finished
        tree.weigh()
        nodes = list(tree.root.below())
        self._left = [0] * sequences
        for node in nodes:
            for asked in node.targets.values():
                for asking in asked.values():
                    for sequence in asking:
                        self._left[sequence] += 1
        self._sums, self._greedy = [0.0] * sequences, [True] * sequences
        longest = max(node.end for node in nodes)
        most = min(_TOKENS.get(machine.device.type, _MOST_TOKENS), tree.size)
        self.most = machine.fitting(longest, most)
        self.rows = machine.fitting_rows(longest, _ROWS.get(machine.device.type, _MOST_ROWS))
        self.chunk = max(1, min(longest, machine.fitting(longest, _CHUNK * _MOST_TOKENS), _CHUNK * self.most))
        self.worth = _STEM
        self.expected: dict[tuple[Node, int], torch.Tensor] = {}
        """Log-probabilities of a plain forward pass, shape (vocabulary,), by node and place; those compared are removed."""
        self.compared = 0
        self._difference = self._spread = 0.0
        self.cache = machine.cache(longest + self.most)
        self.empty = mark(self.cache)

    def answers(self) -> list[Answer]:
        """Of each sequence.

        Raises:
            DifferentAnswers: this is no strategy for this model.
            IclBenchError: the memory is too small for one token.
        """
        todo: list[tuple[Callable[..., Iterable[Any]], Any]] = [(self._parts, self.tree.root.children.values())]
        while todo:
            step, argument = todo.pop()
            todo.extend(reversed(list(step(argument))))
        self.verify()
        return list(zip(self._sums, self._greedy, strict=True))

    def prefill(self, node: Node) -> Cache:
        """The cache after a node that nothing precedes."""
        list(self._down(node))
        return self.cache

    def _parts(self, nodes: Iterable[Node]) -> Iterable[Any]:
        """Walk down those that do not fit, and score the others in as few passes as possible."""
        together: list[list[Node]] = []
        weight = leaves = 0
        for node in nodes:
            if self.is_large(node):
                yield self._down, node
                continue
            weight, leaves = weight + node.weight, leaves + node.leaves
            if not together or weight > self.most or leaves > self.rows_in_pass():
                together.append([])
                weight, leaves = node.weight, node.leaves
            together[-1].append(node)
        for group in together:
            yield self._together, group

    def is_large(self, node: Node) -> bool:
        """Is it too much for one pass, or do most of the sequences begin with it?"""
        most_of_the_tree = 2 * node.weight > self.tree.size and len(node.tokens) >= self.worth and bool(node.children)
        return node.weight > self.most or node.leaves > self.rows_in_pass() or most_of_the_tree

    def stem(self) -> Node:
        """The first node at which walking down ends: what the first pass follows."""
        node = self.tree.root
        while large := [child for child in node.children.values() if self.is_large(child)]:
            node = large[0]
        return node

    def _down(self, node: Node) -> Iterable[Any]:
        before = mark(self.cache)
        while True:
            try:
                self._add(self.extend(node))
                break
            except RuntimeError as error:
                self._halve(error)
            rewind(self.cache, before)
        return [(self._parts, node.children.values()), (self._up, before)]

    def _up(self, before: Mark) -> Iterable[Any]:
        rewind(self.cache, before)
        return ()

    def _together(self, nodes: Sequence[Node]) -> Iterable[Any]:
        before = mark(self.cache)
        try:
            self._add(self.score(nodes))
        except RuntimeError as error:
            self._halve(error)
            rewind(self.cache, before)
            return [(self._parts, nodes)]
        rewind(self.cache, before)
        self.verify()
        return ()

    def _halve(self, error: RuntimeError) -> None:
        if not should_reduce_batch_size(error):
            raise error
        if self.most == self.rows == self.chunk == 1:
            raise IclBenchError(f"one token more does not fit into memory: {error}; take a smaller model or fewer documents")
        self.most, self.rows, self.chunk = (max(1, n // 2) for n in (self.most, self.rows, self.chunk))
        clear_device_cache()

    def _add(self, found: Found) -> None:
        for sequence, log_probability, greedy in found:
            self._sums[sequence] += log_probability
            self._greedy[sequence] &= greedy
            self._left[sequence] -= 1
            if not self._left[sequence]:
                self._finished(sequence)

    def find(self, logits: torch.Tensor, asked: Sequence[Asked]) -> Found:
        """What is asked of some rows of the logits, which are compared with what is expected there.

        Args:
            logits: shape (rows, vocabulary).
            asked: rows, and the node and place whose next tokens they predict.
        """
        for row, node, place in asked:
            if (expected := self.expected.pop((node, place), None)) is not None:
                found = log_softmax(logits[row])
                self._difference += float((found - expected).abs().mean())
                self._spread += float((expected - expected.mean()).abs().mean())
                self.compared += 1
        pairs = [(row, token, asking) for row, node, place in asked for token, asking in node.targets[place].items()]
        if not pairs:
            return []
        answers = self.machine.log_probabilities(logits, [(row, token) for row, token, _ in pairs])
        return [(s, *answer) for (_, _, asking), answer in zip(pairs, answers, strict=True) for s in asking]

    def extend(self, node: Node) -> Found:
        """Append a node to the cache."""
        return self.extend_from(node, 0, self.chunk)

    def extend_from(self, node: Node, first: int, chunk: int) -> Found:
        """Append a node without its first tokens to the cache, in chunks."""
        found: Found = []
        for start in range(first, len(node.tokens), chunk):
            tokens = node.tokens[start : start + chunk]
            places = [place for place in node.targets if start <= place < start + chunk]
            logits = self.machine.logits([tokens], [p - start for p in places] or [len(tokens) - 1], self.cache)[0]
            found += self.find(logits, [(row, node, place) for row, place in enumerate(places)])
        return found

    def rows_in_pass(self) -> int:
        """How many leaves a pass may have."""
        return self.tree.size

    @abstractmethod
    def score(self, nodes: Sequence[Node]) -> Found:
        """Everything asked in these nodes, which follow the cache, and below them. The cache may be left longer."""

    def verify(self) -> None:
        """Are the answers so far those of plain forward passes, up to rounding in the precision of the model?

        Whole rows of log-probabilities are compared: single tokens may agree by chance. Their mean difference is measured
        against how much they vary.

        Raises:
            DifferentAnswers: they are not.
        """
        if self._difference > _TOLERANCE.get(self.machine.bits, _OF_HALF_PRECISION) * self._spread:
            raise DifferentAnswers(f"log-probabilities differ by {self._difference / self.compared:.2g} on average")


def log_softmax(logits: torch.Tensor) -> torch.Tensor:
    """In float32 or better."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
