"""The demo's reference learner: the phenomenon, on a seed drawn when the test runs."""

import secrets
from pathlib import Path

import pytest
from rich.console import Console

from icl_bench import demo
from icl_bench.demo import CONDITIONS, Score, draw, interval, learner_scores
from icl_bench.generate import generate

pytestmark = pytest.mark.usefixtures("one_thread")


def test_reversals_are_known_in_context_and_not_after_fine_tuning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "LEARNED", {"reversal": 40})
    seed = 2 * secrets.randbelow(2**30)
    generate(["reversal"], seed, tmp_path / "world", {"reversal": demo.FIELDS["reversal"]})
    told: list[str] = []
    found = learner_scores(tmp_path / "world", seed, told.append)
    assert told == [f"reversal, {condition}" for condition in CONDITIONS]
    stated, follows = (found["reversal", kind] for kind in ("rephrase", "reversal"))
    assert interval(follows["in context"])[0] > interval(follows["fine-tuned"])[1], f"seed {seed}: {follows}"
    assert interval(stated["fine-tuned"])[0] > 0.6, f"seed {seed}: {stated}"
    assert interval(follows["augmented"])[0] > 0.5, f"seed {seed}: {follows}"
    assert interval(follows["closed book"])[0] < 0.65 < interval(stated["in context"])[0], f"seed {seed}: {found}"
    figure = tmp_path / "new" / "demo.png"
    draw(found, figure)
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_intervals_are_those_of_wilson() -> None:
    """As in Newcombe 1998, table I: 81 of 263."""
    low, high = interval(Score(81 / 263, 0, 0, 263))
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_the_table_fits_a_terminal() -> None:
    row = dict.fromkeys(CONDITIONS, Score(0.45, 0.11, 0.25, 20))
    floor = {("reversal_curse", "description_from_name"): dict.fromkeys(demo.FLOOR, Score(0.45, 0.11, 0.25, 20))}
    console = Console(width=80)
    with console.capture() as captured:
        console.print(demo._table(floor, {("reversal_curse", "description_from_name"): row}))
    text = captured.get()
    assert "description_from_name" in text
    assert text.count("45 ± 11") == 6
    assert "…" not in text
