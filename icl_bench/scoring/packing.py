"""Pack: questions and choices behind their context, in one row.

    tokens     c1 c2 ... c900 | q1 q2 q3  a1 a2  b1 | q4 q5  d1  e1 e2
               in the cache   | question  choices   | question  choices
    positions  0  1  ... 899  | 900 ..    903 .. 903| 900     902 902

A token sees the context and those of its own branch, by a mask; positions count from the context. So the cache is never
copied, however many choices there are.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch

from icl_bench.scoring.context_cache import BufferLayer, rewind
from icl_bench.scoring.prefix_tree import Node
from icl_bench.scoring.runs import COMPARED, Found, Run, log_softmax

_log = logging.getLogger(__name__)


class Pack(Run):
    """For models in which attention alone mixes positions.

    The first pass over a context is a plain forward pass over one whole sequence, question and choice included. It fills
    the cache, and is what the first pack is compared with.

    Args:
        check: compare. Needed once for a model.
    """

    def __init__(self, *arguments: Any, check: bool = True) -> None:
        super().__init__(*arguments)
        self._held: list[int] = []
        if check:
            self._plain_pass()

    def _plain_pass(self) -> None:
        stem = self.stem()
        groups = [nodes for step, nodes in self._parts(stem.children.values()) if step == self._together]
        last = [node for top in (groups[0] if groups else [stem]) for node in top.below() if node.sequences]
        node = last[-1]  # the first one directly follows the context, and would not suffer from what others leave behind
        path = node.path()
        places = [(at, place) for at in node.from_root() for place in at.targets][-COMPARED:]
        try:
            logits = self.machine.logits([path], [at.start + place for at, place in places], self.cache)[0]
        except RuntimeError as error:
            self._halve(error)
            _log.warning("a whole prompt does not fit into memory in one pass: answers are not compared with those of one")
            rewind(self.cache, self.empty)
            return
        rewind(self.cache, self.empty)
        self.expected = dict(zip(places, log_softmax(logits), strict=True))
        self._held = path

    def extend(self, node: Node) -> Found:
        """Append a node to the cache, without what the plain pass left there."""
        known = 0
        if self._held and self._held[: node.end] == node.path():
            known = min(node.targets, default=len(node.tokens))
            for layer in self.cache.layers:
                if isinstance(layer, BufferLayer):
                    layer.length = node.start + known
        if known < len(node.tokens):
            self._held = []
        return self.extend_from(node, known, self.chunk)

    def score(self, nodes: Sequence[Node]) -> Found:
        """In one pass: see the module."""
        self._held = []
        length = nodes[0].start
        tokens: list[int] = []
        positions: list[int] = []
        last: list[int] = []
        asked = []
        for node in (below for top in nodes for below in top.below()):
            asked += [(len(tokens) + place, node, place) for place in node.targets]
            last += [len(tokens) + node.weight] * len(node.tokens)
            positions += range(node.start, node.end)
            tokens += node.tokens
        mask = torch.ones(len(tokens), length + len(tokens), dtype=torch.bool, device=self.machine.device)
        place = torch.arange(len(tokens), device=mask.device)
        below = torch.tensor(last, device=mask.device)  # the end of all that follows from a token
        mask[:, length:] = (place[None, :] <= place[:, None]) & (place[:, None] < below[None, :])
        logits = self.machine.logits([tokens], [at for at, _, _ in asked], self.cache, mask, positions)[0]
        return self.find(logits, [(row, node, place) for row, (_, node, place) in enumerate(asked)])
