from itertools import combinations
from math import isclose

import pytest

from icl_bench.shallow import Learner, Row, baselines, content_words, corpus, measure, sentences, words


def question(prompt: str, choices: list[str], claims: list[str], answer: list[int], kind: str = "reversal") -> Row:
    return {"kind": kind, "question": prompt, "choices": choices, "claims": claims, "answer": answer}


def document(*parts: str) -> Row:
    ends = [sum(map(len, parts[: i + 1])) for i in range(len(parts))]
    return {"text": "".join(parts), "sentence_ends": ends}


DOCUMENTS = [
    document("Gruds are abmes.", " Tolps are abmes too.", " Polar bears are rare."),
    document("Tolps, tolps and TOLPS are rony."),
    document("Femps are rony."),
]
ABMES = question(
    "Abmes include",
    ["tolps.", "polar bears.", "femps.", "gruds."],
    ["includes(abmes, tolps)", "includes(abmes, polar bears)", "includes(abmes, femps)", "includes(abmes, gruds)"],
    [3],
)


def accuracies(questions: list[Row]) -> dict[str, float]:
    return {result.name: result.accuracy for result in baselines(DOCUMENTS, questions)}


@pytest.mark.parametrize(
    ("learner", "accuracy"),
    [
        ("position 1", 0),
        ("position 4", 1),
        ("longest", 0),  # polar bears.
        ("shortest", 1 / 3),  # gruds. femps. tolps. have six characters
        ("most frequent", 0),  # tolps, four times
        ("same document", 1 / 3),  # gruds, tolps and polar bears, one document each
        ("same sentence", 1 / 2),  # gruds and tolps
    ],
)
def test_each_learner_picks_what_its_name_says(learner: str, accuracy: float) -> None:
    result = next(result for result in baselines(DOCUMENTS, [ABMES]) if result.name == learner)
    assert isclose(result.accuracy, accuracy)
    assert (result.kind, result.chance, result.n) == ("reversal", 0.25, 1)


def test_all_correct_choices_count() -> None:
    assert isclose(accuracies([{**ABMES, "answer": [0, 3]}])["same document"], 2 / 3)


def test_kinds_are_measured_apart() -> None:
    other = {**ABMES, "kind": "syllogism", "answer": [1]}
    results = baselines(DOCUMENTS, [ABMES, other, ABMES])
    assert {result.kind: result.n for result in results} == {"reversal": 2, "syllogism": 1}
    longest = {result.kind: result.accuracy for result in results if result.name == "longest"}
    assert longest == {"reversal": 0.0, "syllogism": 1.0}


def test_questions_with_fewer_choices_than_others_are_a_guess_for_the_later_positions() -> None:
    two = {**ABMES, "choices": ["tolps.", "gruds."], "claims": ABMES["claims"][:2], "answer": [1]}
    assert accuracies([ABMES, two])["position 4"] == (1 + 1 / 2) / 2


def test_choices_that_name_no_entity_are_all_the_same_to_it() -> None:
    unnamed = question("gruds are", ["less heavy.", "heavier."], ["a(gruds, tolps)", "b(gruds, tolps)"], [0])
    results = {result.name: result for result in baselines(DOCUMENTS, [unnamed])}
    for name in ("most frequent", "same document", "same sentence"):
        assert (results[name].accuracy, results[name].standard_error, results[name].z) == (0.5, 0.0, 0.0)


def test_an_entity_of_several_words_is_met_where_all_of_them_are() -> None:
    asked = question("Gruds are like", ["polar bears.", "femps."], ["a(gruds, polar bears)", "a(gruds, femps)"], [0])
    assert content_words([asked]) == {"gruds", "polar", "bears", "femps"}
    assert accuracies([asked])["same document"] == 1
    assert accuracies([asked])["same sentence"] == 0.5


def test_no_questions_and_no_documents() -> None:
    assert baselines(DOCUMENTS, []) == []
    assert {result.accuracy for result in baselines([], [ABMES]) if "same" in result.name} == {0.25}


def test_documents_may_be_a_stream() -> None:
    assert baselines(iter(DOCUMENTS), [ABMES]) == baselines(DOCUMENTS, [ABMES])


def test_corpus_counts_words_and_where_they_are() -> None:
    found = corpus(DOCUMENTS, {"tolps", "rony"})
    assert found.frequency == {"tolps": 4, "rony": 2}
    assert found.documents == {"tolps": {0, 1}, "rony": {1, 2}}
    assert found.sentences == {"tolps": {1, 3}, "rony": {3, 4}}


def test_sentences_are_cut_where_the_row_says() -> None:
    assert sentences(DOCUMENTS[0]) == ["Gruds are abmes.", " Tolps are abmes too.", " Polar bears are rare."]
    assert words("Les Éclairs, naïve.") == ["les", "éclairs", "naïve"]


def prefers_the_first(count: int) -> Learner:
    return lambda question: [choice < count for choice in range(len(question["choices"]))]


@pytest.mark.parametrize("choices", [1, 2, 4, 6])
def test_chance_and_standard_error_are_those_of_answers_drawn_at_random(choices: int) -> None:
    for answers in range(1, choices + 1):
        for picked in range(1, choices + 1):
            draws = [
                measure("kind", "name", prefers_the_first(picked), [{"choices": [""] * choices, "answer": list(answer)}])
                for answer in combinations(range(choices), answers)
            ]
            mean = sum(draw.accuracy for draw in draws) / len(draws)
            variance = sum((draw.accuracy - mean) ** 2 for draw in draws) / len(draws)
            assert isclose(draws[0].chance, mean)
            assert isclose(draws[0].standard_error ** 2, variance, abs_tol=1e-12)


def test_questions_about_the_same_words_count_as_one_for_who_sees_them() -> None:
    def errors(name: str, *asked: str) -> tuple[float, float]:
        rows = [{"question": f"{word} are", "choices": [f"{i}", "-", "--", "---"], "answer": [0]} for i, word in enumerate(asked)]
        found = measure("kind", name, prefers_the_first(1), rows, {"femp", "glon"})
        return found.standard_error, found.clustered_error

    one, _ = errors("same document", "femp")
    assert errors("same document", "femp", "femp", "glon", "glon") == (pytest.approx(one / 2), pytest.approx(one / 2**0.5))
    assert errors("same sentence", "femp", "femp") == (pytest.approx(one / 2**0.5), pytest.approx(one))
    assert errors("position 1", "femp", "femp") == (pytest.approx(one / 2**0.5), pytest.approx(one / 2**0.5))
    assert errors("same document", "troff", "troff") == (pytest.approx(one / 2**0.5), pytest.approx(one / 2**0.5))  # no such word


def test_questions_with_the_same_answer_count_as_one() -> None:
    def error(*answers: str) -> float:
        asked = [{"choices": [answer, "-", "--", "---"], "answer": [0]} for answer in answers]
        return measure("kind", "longest", prefers_the_first(1), asked).standard_error

    assert isclose(error("a", "a", "a", "a"), error("a"))
    assert isclose(error("a", "b", "c", "d"), error("a") / 2)
    assert isclose(error("a", "a", "b", "b"), error("a") / 2**0.5)
