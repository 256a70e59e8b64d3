"""The n-gram learner: its probabilities, and that it recalls what is stated and infers nothing."""

from math import exp, log
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.api.instance import Instance
from lm_eval.api.registry import get_model

from icl_bench.errors import IclBenchError
from icl_bench.ngram import VOCABULARY, Counts, NGramLM, tokenize
from icl_bench.tasks.data import process_results, tables

WORDS = st.lists(st.sampled_from("abcd"), max_size=12)
FACTS = {"reversal.facts": 400}


def requests(*pairs: tuple[Any, ...]) -> list[Instance]:
    return [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]


def test_tokenize() -> None:
    text = "Did you know? Glon's are\nRONY.\n\n"
    assert tokenize(text) == ["did", "you", "know", "?", "glon", "'", "s", "are", "\n", "rony", ".", "\n", "\n"]


def test_witten_bell_by_hand() -> None:
    counts = Counts(order=2)
    counts.add(list("abacab"))
    uniform = 1 / VOCABULARY
    b = (2 + 3 * uniform) / (6 + 3)  # 2 of 6 tokens; 3 different ones
    assert counts.probability("b", ()) == pytest.approx(b)
    assert counts.probability("b", ("a",)) == pytest.approx((2 + 2 * b) / (3 + 2))  # a is followed by b, c, b
    assert counts.probability("b", ("z",)) == pytest.approx(b)
    assert counts.probability("z", ("a",)) == pytest.approx(2 / 5 * 3 * uniform / 9)


@given(WORDS, WORDS)
def test_probabilities_sum_to_one(text: list[str], history: list[str]) -> None:
    counts = Counts(order=3)
    counts.add(text)
    last = counts.history(history)
    seen = sum(counts.probability(word, last) for word in "abcd")
    assert seen + (VOCABULARY - 4) * counts.probability("unseen", last) == pytest.approx(1)


@given(WORDS, WORDS, st.integers(1, 4))
def test_what_is_added_is_removed(kept: list[str], passing: list[str], order: int) -> None:
    counts, same = Counts(order), Counts(order)
    counts.add(kept)
    same.add(kept)
    with counts.including([*kept, *passing], start=len(kept)):
        same.add([*kept, *passing], start=len(kept))
        assert vars(counts) == vars(same)
    same = Counts(order)
    same.add(kept)
    assert vars(counts) == vars(same)


@given(WORDS, WORDS, st.integers(1, 4))
def test_greedy_is_the_likeliest(text: list[str], history: list[str], order: int) -> None:
    counts = Counts(order)
    counts.add(text)
    last = counts.history(history)
    probabilities = {word: counts.probability(word, last) for word in set(text)}
    for word in "abcd":
        best = word in probabilities and probabilities[word] == max(probabilities.values())
        assert counts.is_greedy(word, last) == best


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=6))
def test_shared_documents_change_nothing(parts: list[tuple[list[str], list[str], list[str]]]) -> None:
    pairs = [(f"{' '.join(d)}\n\n{' '.join(q)}", f" {' '.join(c)}") for d, q, c in parts]
    together = NGramLM().loglikelihood(requests(*pairs))
    assert together == [NGramLM().loglikelihood(requests(pair))[0] for pair in pairs]


def test_the_context_is_read() -> None:
    told = "Femp are more dangerous than glon.\n\n"
    (more, greedy), (less, _) = NGramLM().loglikelihood(
        requests((f"{told}femp are", " more dangerous than glon."), (f"{told}femp are", " less dangerous than glon."))
    )
    assert more > less
    assert greedy
    assert exp(more) <= 1


def test_nothing_is_known_beforehand() -> None:
    scores = NGramLM().loglikelihood(requests(("", " one two."), ("", " two three."), ("", "")))
    assert scores == [(pytest.approx(-3 * log(VOCABULARY)), False)] * 2 + [(0.0, True)]


def test_generate() -> None:
    told = "Femp are more dangerous than glon.\n\nfemp"
    options = ({}, {"until": ["\n"]}, {"until": "than"}, {"max_gen_toks": 2})
    generated = NGramLM().generate_until(requests(*((told, option) for option in options)))
    assert generated[0].startswith(" are more dangerous than glon.\n\n")
    assert generated[1:] == [" are more dangerous than glon.", " are more dangerous ", " are more"]
    assert NGramLM().generate_until(requests(("", {}))) == [""]


def test_rolling() -> None:
    assert NGramLM().loglikelihood_rolling(requests(("one two",))) == [pytest.approx(-2 * log(VOCABULARY))]


def test_it_is_registered_beside_the_models_of_lm_eval() -> None:
    assert get_model("icl-ngram") is NGramLM
    assert get_model("dummy") is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ordr": 2}, "icl-ngram has no argument 'ordr'; it has train, order, seed, path, config"),
        ({"order": 0}, "icl-ngram: order = 0; give a positive integer such as 3"),
        ({"train": "reversals"}, "there is no dataset 'reversals'; "),
        ({"train": "reversal", "config": {"reversal.fact": 2}}, "reversal has no field 'fact'; "),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(IclBenchError) as caught:
        NGramLM(**arguments, batch_size=1, device="cpu")
    assert str(caught.value).startswith(message)


# ---- on the data


def accuracy(learner: NGramLM, split: str, documents: str = "") -> float:
    """On the questions of a split of reversals."""
    asked = list(tables("reversal", 0, None, FACTS)[split])
    pairs = [(documents + doc["question"], f" {choice}") for doc in asked for choice in doc["choices"]]
    answers = iter(learner.loglikelihood(requests(*pairs)))
    scores = [process_results(doc, [next(answers) for _ in doc["choices"]])["acc"] for doc in asked]
    return sum(scores) / len(scores)


@pytest.mark.parametrize("trained", [False, True])
def test_it_recalls_and_does_not_reverse(trained: bool) -> None:
    if trained:
        learner, documents = NGramLM(train="reversal", seed=0, config=FACTS), ""
    else:
        texts = tables("reversal", 0, None, FACTS)["train"]["text"]
        learner, documents = NGramLM(), "".join(f"{text}\n\n" for text in texts)
    assert accuracy(learner, "validation", documents) > 0.95
    assert accuracy(learner, "test", documents) == pytest.approx(0.5, abs=0.1)  # 4 standard errors


def test_closed_book_is_chance() -> None:
    assert accuracy(NGramLM(), "validation") == pytest.approx(0.5, abs=0.1)
    assert accuracy(NGramLM(), "test") == pytest.approx(0.5, abs=0.1)
