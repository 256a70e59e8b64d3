"""The radix tree, and tokens of texts that begin alike."""

from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from icl_bench.scoring.prefix_tree import PrefixTree, common
from icl_bench.scoring.shared_tokens import encode, shared_beginnings

SEQUENCES = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8), min_size=1, max_size=12)


@given(SEQUENCES)
def test_a_token_of_the_tree_is_a_distinct_beginning(sequences: list[list[int]]) -> None:
    tree = PrefixTree()
    ends = [tree.add(sequence) for sequence in sequences]
    assert [end.path() for end in ends] == sequences
    assert tree.size == len({tuple(sequence[:n]) for sequence in sequences for n in range(1, len(sequence) + 1)})
    tree.weigh()
    assert tree.root.weight == tree.size
    nodes = list(tree.root.below())
    assert [node.start for node in nodes] == [len(node.parent.path()) if node.parent else 0 for node in nodes]
    assert tree.root.leaves == sum(not node.children for node in nodes)


@given(SEQUENCES, st.integers(1, 8))
def test_targets_are_the_next_tokens(sequences: list[list[int]], most: int) -> None:
    tree = PrefixTree()
    ends = [tree.add(sequence) for sequence in sequences]
    scored = [[*sequence[1:], 9][-most:] for sequence in sequences]
    for i, end in enumerate(ends):
        tree.ask(i, end, scored[i])
    for i, sequence in enumerate(sequences):
        found = [
            (node.start + place, token)
            for node in tree.root.below()
            for place, targets in node.targets.items()
            for token, asking in targets.items()
            if i in asking
        ]
        assert sorted(found) == list(enumerate([*sequence[1:], 9]))[-most:]


@given(SEQUENCES, SEQUENCES)
def test_sequences_may_continue_an_end(first: list[list[int]], rest: list[list[int]]) -> None:
    tree = PrefixTree()
    whole = PrefixTree()
    ends = [tree.add(sequence) for sequence in first]
    for end, sequence in zip(ends, first, strict=True):
        for own in rest:
            assert tree.add(own, end).path() == sequence + own
            whole.add(sequence + own)
    for sequence in first:
        whole.add(sequence)
    assert tree.size == whole.size


@given(st.lists(st.integers(0, 1)), st.lists(st.integers(0, 1)))
def test_common(first: list[int], second: list[int]) -> None:
    same = list(accumulate((a == b for a, b in zip(first, second, strict=False)), lambda a, b: a and b))
    assert common(first, second) == sum(same)


# ---- tokens


WORDS = ["glon", "femp", "are", "rony", "more dangerous than", "\n\n", "no", "  ", ".", " é", "日本", "<s>", "1999"]


def tokenizer(split: bool, bos: bool) -> PreTrainedTokenizerFast:
    """Of the kind of Llama 3 (bytes, words first) or of Llama 2 (merges go across spaces)."""
    own = Tokenizer(models.BPE(unk_token="<unk>"))
    if split:
        own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        own.decoder = decoders.ByteLevel()
    else:
        own.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    texts = [" ".join(WORDS[i % len(WORDS)] for i in range(0, 60 * step, step)) for step in range(1, 9)]
    own.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=500, special_tokens=["<s>", "</s>", "<unk>"]))
    if bos:
        own.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=own, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


TOKENIZERS = [tokenizer(split, bos) for split in (True, False) for bos in (True, False)]
PIECES = st.lists(st.sampled_from([*WORDS, " "]), max_size=8).map("".join)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from(WORDS), min_size=300, max_size=400).map(" ".join),
    st.lists(st.tuples(PIECES, PIECES), min_size=1, max_size=6),
)
def test_tokens_are_those_of_the_whole_text(documents: str, ends: list[tuple[str, str]]) -> None:
    texts = [(documents + end, rest) for end, rest in ends]
    for own in TOKENIZERS:
        encoded = encode(texts, own.encode, own, lambda _: {})
        assert {text: list(tokens) for text, tokens in encoded.items()} == {text: own.encode("".join(text)) for text in texts}
        assert {len(tokens) for tokens in encoded.values()} == {len(list(tokens)) for tokens in encoded.values()}


def test_what_is_shared_is_tokenised_once() -> None:
    texts = [("femp are glon. " * 500 + f"rony {i} are", f" no {i}") for i in range(250)]
    for own in TOKENIZERS:
        calls = []

        def whole(text: str, own: PreTrainedTokenizerFast = own, calls: list[str] = calls) -> list[int]:
            calls.append(text)
            return own.encode(text)

        encoded = encode(texts, whole, own, lambda _: {})
        assert len(calls) <= 5  # the sample
        assert len({id(tokens.shared) for tokens in encoded.values()}) == 1
        assert max(len(tokens.own) for tokens in encoded.values()) < 80


def test_a_tokenizer_that_looks_ahead_is_noticed(caplog: object) -> None:
    class Odd:
        """The first token says how long the text is."""

        is_fast = True

        def encode(self, text: str) -> list[int]:
            return [len(text) % 7, *map(ord, text[1:])]

        def __call__(self, texts: list[str], **_: object) -> dict[str, list[object]]:
            return {
                "input_ids": [self.encode(text) for text in texts],
                "offset_mapping": [[(i, i + 1) for i in range(len(text))] for text in texts],
            }

    own = Odd()
    texts = [("ab" * 1000 + "c" * i, "") for i in range(5)]
    encoded = encode(texts, own.encode, own, lambda _: {})
    assert all(list(encoded[text]) == own.encode("".join(text)) for text in texts)
    assert "every prompt is tokenised whole" in caplog.text  # type: ignore[attr-defined]


def test_slow_tokenizers_are_left_alone() -> None:
    own = ByT5Tokenizer()  # no places of tokens, and each text ends with a token
    texts = [("femp are glon. " * 100 + str(i), "x") for i in range(3)]
    encoded = encode(texts, own.encode, own, lambda _: {})
    assert all(list(encoded[text]) == own.encode("".join(text)) for text in texts)


def test_groups_of_texts() -> None:
    first, second = "a" * 2000, "b" * 3000
    texts = [first + "1", second + "1", "short", first + "2", second, first + "22"]
    assert shared_beginnings(texts) == {first: [first + "1", first + "2", first + "22"], second: [second, second + "1"]}
    assert shared_beginnings(["short"]) == {}
