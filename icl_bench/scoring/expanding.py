"""Expand: rows that continue from copies of the state after their context.

    row 1     c1 ... c900 | q1 q2 q3 a1 a2
    row 2     c1 ... c900 | q1 q2 q3 b1             the first three tokens are one row, which is copied where choices part
    row 3     c1 ... c900 | q4 q5 d1

All rows go on by as many tokens as the shortest has left until it branches or ends: so nothing is padded, which a state
would not forgive, and no token is computed twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers.cache_utils import Cache

from icl_bench.scoring.context_cache import branches, rewind
from icl_bench.scoring.prefix_tree import Node, PrefixTree, common
from icl_bench.scoring.runs import COMPARED, Found, Run, log_softmax
from icl_bench.scoring.shared_attention import shared_attention

_SHARED = 2
"""Tokens before and after the place where sequences part, fewer than which would not show whether a state is continued."""


class Expand(Run):
    """For models whose layers carry a state along the sequence, and attention that takes no mask.

    Args:
        check: compare two shortened sequences with plain forward passes. Needed once for a model.
        one_by_one: continue a state by one token at a time; some models can do no more, and begin anew when they are
            given several.
    """

    def __init__(self, *arguments: Any, check: bool = True, one_by_one: bool = False) -> None:
        super().__init__(*arguments)
        self.one_by_one = one_by_one
        if check:
            self._check()

    def rows_in_pass(self) -> int:
        """A row for each leaf."""
        return self.rows

    def _check(self) -> None:
        """Two sequences of unlike length, which part after what they share and go on for several tokens."""
        ends = [node.path() for node in self.stem().below() if node.sequences]
        first, second = ends[0], ends[-1]
        parting = common(first, second)
        if parting < _SHARED or min(len(first), len(second)) < parting + _SHARED:
            half = len(first) // 2
            second = first[:half] + first[half + 1 :]
            parting = common(first, second)
        kept = max(16, self.tree.size // 200)
        samples = [
            path[max(0, parting - kept) : parting + length] for path, length in ((first, kept), (second, max(1, kept - 3)))
        ]
        tree = PrefixTree()
        nodes = [tree.add(tokens) for tokens in samples]
        for i, (tokens, node) in enumerate(zip(samples, nodes, strict=True)):
            tree.ask(i, node, [*tokens[1:], tokens[0]][-COMPARED:])
        short = Expand(self.machine, tree, len(samples), check=False, one_by_one=self.one_by_one)
        short.worth, short.chunk = 1, max(1, kept // 2)
        for tokens, end in zip(samples, nodes, strict=True):
            places = [(at, place) for at in end.from_root() for place in at.targets][-COMPARED:]
            logits = self.machine.logits([tokens], [at.start + place for at, place in places])[0]
            short.expected |= zip(places, log_softmax(logits), strict=True)
        short.answers()
        if parting >= _SHARED:  # otherwise nothing was continued
            self.compared = short.compared

    def extend(self, node: Node) -> Found:
        """Append a node to the cache. A state that cannot be continued by several tokens is made anew."""
        if not self.one_by_one:
            return super().extend(node)
        if node.start > len(node.tokens):
            return self.extend_from(node, 0, 1)
        rewind(self.cache, self.empty)
        logits = self.machine.logits([node.path()], [node.start + place for place in node.targets] or [0], self.cache)[0]
        return self.find(logits, [(row, node, place) for row, place in enumerate(node.targets)])

    def score(self, nodes: Sequence[Node]) -> Found:
        """All rows take as many tokens as the shortest has left until it branches or ends."""
        with shared_attention(self.machine.plain) as share:
            return self._go_on(nodes, branches(self.cache, [0] * len(nodes), share))

    def _go_on(self, nodes: Sequence[Node], cache: Cache) -> Found:
        found: Found = []
        rows = [(node, 0) for node in nodes]
        while rows:
            step = min(min(len(node.tokens) - place for node, place in rows), max(1, self.most // len(rows)))
            if self.one_by_one and rows[0][0].start + rows[0][1]:
                step = 1
            places = sorted({at - place for node, place in rows for at in node.targets if place <= at < place + step})
            tokens = [node.tokens[place : place + step] for node, place in rows]
            logits = self.machine.logits(tokens, places or [step - 1], cache)
            asked = [
                (row * len(places) + i, node, place + at)
                for row, (node, place) in enumerate(rows)
                for i, at in enumerate(places)
                if place + at in node.targets
            ]
            found += self.find(logits.flatten(0, 1), asked)
            following: list[tuple[int, tuple[Node, int]]] = []
            for row, (node, place) in enumerate(rows):
                if place + step < len(node.tokens):
                    following.append((row, (node, place + step)))
                else:
                    following += [(row, (child, 0)) for child in node.children.values()]
            if following and [row for row, _ in following] != list(range(len(rows))):
                cache = branches(cache, [row for row, _ in following], False)  # what is shared stays so
            rows = [at for _, at in following]
        return found
