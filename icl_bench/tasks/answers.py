"""Free-form answers: find what a model answered in all that it wrote, and compare it with the right choices.

    All yupans are less tall than nibods, so ...     thought
    **Answer:** Taller than yupan                    the answer, "taller than yupan."

An answer is what stands after the last "Answer:" at the start of a line (`ANSWER`). It is right if it is one of the right
choices, or the question completed by it, word for word up to case, quotation marks, emphasis, punctuation, articles and
white space (`normalise`). A choice that is true but says less than another is wrong: the prompt asks for what says the most.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

ANSWER = re.compile(r"^[^\w\n]*(?:final )?answer[^\w\n:：]*[:：](.*)$", re.IGNORECASE | re.MULTILINE)
"""A line that starts with "Answer:" or "Final answer:", whatever marks of emphasis are around these words."""
_BOXED = re.compile(r"\\(?:boxed|text)\{([^{}]*)\}")
_OUTSIDE = re.compile(r"""^["'`*_$\s]+|["'`*_$\s.,;:!?]+$""")
_SENTENCE_MARK = re.compile(r"[.,;:!?]+(?=\s)")
_ARTICLE = re.compile(r"\b(?:a|an|the)\s+(?=\w)")
_AROUND_SYMBOL = re.compile(r"\s*([^\w\s])\s*")
_QUOTES = str.maketrans("“”„«»‘’", '"""""\'\'')


def normalise(text: str) -> str:
    r"""What is compared.

    Lower case; no quotation marks, emphasis and LaTeX boxes around it; no double quotes and no punctuation at the end of
    words; no articles before words; single spaces, and none beside symbols. What has a meaning in a formula is kept.

    >>> normalise('**The   "Rony".** '), normalise(r"$\boxed{a + 2*x}$"), normalise("No yups are glon!")
    ('rony', 'a+2*x', 'no yups are glon')
    """
    while _BOXED.search(text):
        text = _BOXED.sub(r"\1", text)
    text = _OUTSIDE.sub("", text.casefold().translate(_QUOTES)).replace('"', "")
    text = _ARTICLE.sub("", _SENTENCE_MARK.sub("", text))
    return " ".join(_AROUND_SYMBOL.sub(r"\1", text).split())


def extract(response: str) -> str | None:
    """The answer in a response, or None. Thoughts between <think> and </think> are no answer, be they finished or not."""
    said = response.rpartition("</think>")[2].partition("<think>")[0]
    answers = [line.strip() for line in ANSWER.findall(said) if normalise(line)]
    return answers[-1] if answers else None


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Metrics of one question.

    Args:
        doc: the question.
        results: the response, alone.

    Returns:
        `exact_match`: is the answer right? `no_answer`: was none found (which counts as wrong)? `chance`: the share of the
        choices that are answers.
    """
    answer = extract(results[0])
    gold = [doc["choices"][i] for i in doc["answer"]]
    right = {normalise(text) for choice in gold for text in (choice, f"{doc['question']} {choice}")}
    return {
        "exact_match": float(answer is not None and normalise(answer) in right),
        "no_answer": float(answer is None),
        "chance": len(gold) / len(doc["choices"]),
    }
