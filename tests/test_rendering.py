"""Templates: what they may hold, and what stands in the files."""

from itertools import chain

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from icl_bench.build import build
from icl_bench.errors import IclBenchError
from icl_bench.rendering import Template, formats, split_sentences, templates_folder, variables, wordings
from icl_bench.schema import Fact

SEMANTIC = ["is_a", "includes", "is", "is_true_of", "can", "is_done_by", "has", "belongs_to", "verb", "verb_inverse"]
VALUES = {"subject": "gruds", "object": "abmes", "Subject": "Gruds", "Object": "Abmes", "verb": "glorp", "participle": "glorped"}


def test_filling():
    assert Template("{{ subject }} are a type of {{ object }}").fill(VALUES) == "gruds are a type of abmes"


@given(st.text(alphabet="{}%abc \n#", max_size=12))
def test_values_are_never_read_as_templates(value):
    assert Template("<{{ subject }}>").fill({"subject": value}) == f"<{value}>"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ subject", "a slot is written"),
        ("{% for x in y %}{% endfor %}", "holds For; only slots"),
        ("{{ subject|upper }}", "holds Filter; only slots"),
        ("{{ subject.name }}", "holds Getattr; only slots"),
        ("{{ 1 + 1 }}", "only slots"),
    ],
)
def test_logic_is_refused(source, message):
    with pytest.raises(IclBenchError, match=message):
        Template(source)


def test_a_slot_without_a_value():
    with pytest.raises(KeyError, match="object"):
        Template("{{ object }}").fill({"subject": "x"})


def test_sentence_ends():
    assert split_sentences("A b.\x01 C d.") == ("A b. C d.", (4, 9))
    assert split_sentences("A b.") == ("A b.", (4,))


def test_every_relation_and_direction_has_six_wordings_or_more():
    for name in SEMANTIC:
        texts = [line[0].fill(VALUES) for line in wordings("semantic_structure", f"statements/{name}")]
        assert len(set(texts)) == len(texts) >= 6
        assert all("gruds" in text and "abmes" in text for text in texts)


def test_every_kind_of_layout_words_every_relation():
    for folder in ("qa", "table", "fragment", "questions"):
        for name in SEMANTIC:
            for line in wordings("semantic_structure", f"{folder}/{name}"):
                filled = " ".join(part.fill(VALUES) for part in line).lower()
                assert "gruds" in filled
                assert "abmes" in filled


def test_no_question_is_worded_like_a_document():
    for name in SEMANTIC:
        stated = {line[0].fill(VALUES).lower() for line in wordings("semantic_structure", f"statements/{name}")}
        for prompt, choice in wordings("semantic_structure", f"questions/{name}"):
            asked = f"{prompt.fill(VALUES)} {choice.fill(VALUES)}".lower().rstrip(".")
            assert not any(text in asked or asked in text for text in stated)
    preambles = {line[0].fill({"statement_1": "@"}).split("@")[0] for line in wordings("reversal", "documents")}
    for prompt, _ in wordings("reversal", "questions/rephrase"):
        assert prompt.fill({"subject": "@"}).split("@")[0] not in preambles
    assert len(preambles) == len(wordings("reversal", "documents")) == 40


def test_there_are_twelve_visibly_different_formats_or_more():
    found = formats("semantic_structure")
    frames = {(f["opening"].fill(FRAME), f["items"][0].fill(ITEM), f["joiner"], f["closing"].fill(FRAME)) for f in found}
    assert len(frames) == len(found) == 18
    assert {f["kind"] for f in found} == {"article", "qa"}
    assert sum(f["kind"] == "article" for f in found) >= 12


FRAME = {"topic": "gruds", "Topic": "Gruds", "number": "7"}
ITEM = {**FRAME, "i": "1", "sentence": "S.", "part_1": "a", "part_2": "b", "part_3": "c"}


def test_every_template_file_is_used_and_valid():
    for path in sorted(templates_folder().rglob("*.txt")):
        world = path.relative_to(templates_folder()).parts[0]
        name = path.relative_to(templates_folder() / world).with_suffix("").as_posix()
        assert wordings(world, name), path
    entries = yaml.safe_load((templates_folder() / "semantic_structure" / "formats.yaml").read_text(encoding="utf-8"))
    folders = {path.name for path in (templates_folder() / "semantic_structure").iterdir() if path.is_dir()}
    assert {entry["statements"] for entry in entries} | {"statements", "questions", "readings"} == folders | {"sentence"}


def test_capitals_come_from_the_same_entity():
    world = build("reversal", 0, {"facts": 2}).world
    values = variables(world, Fact("more_bright", "femp", "glon"))
    assert Template("{{ Subject }} {{ relation }} {{ Object }}").fill(values) == "Femp brighter Glon"
    with pytest.raises(KeyError):
        values["Nothing"]
    assert list(chain(values)) == ["relation", "subject", "object"]
