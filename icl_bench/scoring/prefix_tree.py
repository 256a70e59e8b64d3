"""A radix tree over token sequences: what many sequences begin with is one node.

    context -> question 1 -> choice 1          3 sequences, 5 nodes; each token of the tree is computed once
                          -> choice 2
            -> question 2 -> choice 1

Scored tokens are those of the continuations. The logits that predict one are those of the token before it: so a node
knows, for each of its tokens, which next tokens are asked for and by which sequences (`Node.targets`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

Targets = dict[int, dict[int, list[int]]]
"""Place in the node -> next token -> the sequences that ask for its probability."""


@dataclass(eq=False)
class Node:
    """Tokens that some sequences share, between two branchings."""

    tokens: Sequence[int]
    parent: Node | None = None
    start: int = 0
    """How many tokens come before it."""
    children: dict[int, Node] = field(default_factory=dict)
    """By their first token."""
    targets: Targets = field(default_factory=dict)
    sequences: list[int] = field(default_factory=list)
    """Those that end here."""
    weight: int = 0
    """Tokens of this node and of all below it; known after `PrefixTree.weigh`."""
    leaves: int = 0
    """Nodes without children here and below; known after `PrefixTree.weigh`."""

    @property
    def end(self) -> int:
        """Tokens up to its last one."""
        return self.start + len(self.tokens)

    def from_root(self) -> list[Node]:
        """The nodes from the root down to this one."""
        found = [self]
        while (parent := found[-1].parent) is not None:
            found.append(parent)
        return found[::-1]

    def path(self) -> list[int]:
        """All tokens from the beginning to the end of this node."""
        return [token for node in self.from_root() for token in node.tokens]

    def below(self) -> Iterator[Node]:
        """This node and all below it, each before its children."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children.values()))


class PrefixTree:
    """A tree that grows by `add`.

    >>> tree = PrefixTree()
    >>> ends = [tree.add([1, 2, 3, *rest]) for rest in ([4], [4, 5], [6])]
    >>> tree.size, [len(node.tokens) for node in tree.root.below()]
    (6, [0, 3, 1, 1, 1])
    """

    def __init__(self) -> None:
        self.root = Node(())
        self.size = 0
        """Distinct tokens: no method can compute fewer."""

    def add(self, tokens: Sequence[int], under: Node | None = None) -> Node:
        """The node at whose end the sequence ends. It stays the end of the sequence, whatever else is added.

        Args:
            tokens: the sequence, or what follows the end of `under`.
            under: an end that `add` returned.
        """
        node = under or self.root
        place = 0
        while place < len(tokens):
            child = node.children.get(tokens[place])
            if child is None:
                self.size += len(tokens) - place
                node.children[tokens[place]] = new = Node(tokens[place:], node, node.end)
                return new
            rest = tokens[place : place + len(child.tokens)]
            shared = common(child.tokens, rest)
            if shared < len(child.tokens):
                child = self._split(child, shared)
            place += shared
            node = child
        return node

    @staticmethod
    def _split(node: Node, first: int) -> Node:
        """Cut off the first tokens of a node as its new parent. The node stays the end of the sequences that it ends."""
        assert node.parent is not None
        upper = Node(node.tokens[:first], node.parent, node.start)
        node.parent.children[node.tokens[0]] = upper
        node.parent, node.tokens, node.start = upper, node.tokens[first:], node.start + first
        upper.children[node.tokens[0]] = node
        return upper

    def ask(self, sequence: int, end: Node, scored: Sequence[int]) -> None:
        """Ask for the probabilities of `scored`, of which all but the last are the last tokens up to `end`.

        Call it when all sequences have been added: nodes that are split forget what was asked.
        """
        end.sequences.append(sequence)
        first = end.end - len(scored)  # the place whose logits predict the first of them
        node: Node | None = end
        while node is not None and node.end > first:
            for place in range(max(node.start, first), node.end):
                asked = node.targets.setdefault(place - node.start, {})
                asked.setdefault(scored[place - first], []).append(sequence)
            node = node.parent

    def weigh(self) -> None:
        """Fill in the weights and leaves of all nodes."""
        for node in reversed(list(self.root.below())):
            node.weight = len(node.tokens) + sum(child.weight for child in node.children.values())
            node.leaves = sum(child.leaves for child in node.children.values()) or 1


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sequences share at their beginning."""
    if first == second:
        return len(first)
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
