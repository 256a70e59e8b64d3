"""The reference learner: what it reads, that its training can be repeated, and what is shipped."""

import math
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from icl_bench import WORLDS, build, load_dataset
from icl_bench.learner import measure, mixture, reversal, reversal_curse, syllogism
from icl_bench.learner.curriculum import COUNTS, Curriculum
from icl_bench.learner.finetune import Recipe, finetune, hidden, part
from icl_bench.learner.reversal import FORWARD, NAME_FORWARD, REVERSED
from icl_bench.learner.score import accuracy, share_right
from icl_bench.learner.text import Encoder
from icl_bench.learner.tokenizer import make_tokenizer, parts
from icl_bench.learner.train import Training
from icl_bench.streams import stream
from icl_bench.vocabulary import Vocabulary
from icl_bench.worlds.people import natural

SHIPPED = Path(__file__).parent.parent / "icl_bench" / "reference_learner"
TOKENIZER = make_tokenizer()
SMALL = {"semantic_structure": {"n_categories": 40, "documents": 200}, "reversal_curse": {"paraphrases": 3}}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    "text", ["a", "a b", " a", "a\n", "a\n\nb", "a\n\n\nb", "\na", "a  b", "f(x) = x^2, so: 3!", "jowot's", ""]
)
def test_text_comes_back(text):
    ids = TOKENIZER(text)["input_ids"]
    assert TOKENIZER.decode(ids) == text
    assert TOKENIZER.unk_token_id not in ids


@pytest.mark.parametrize("name", list(WORLDS))
def test_all_that_the_datasets_write_comes_back_in_lower_case(name):
    shipped = AutoTokenizer.from_pretrained(SHIPPED, local_files_only=True)
    made = build(name, seed=2, fields=SMALL.get(name, {}))
    texts = [text for split in ("train", "validation", "test") for row in made.rows(split) for text in _texts(row)]
    for tokenizer in (TOKENIZER, shipped):
        for text, ids in zip(texts, tokenizer(texts)["input_ids"], strict=True):
            assert tokenizer.decode(ids) == text.lower()
            assert tokenizer.unk_token_id not in ids


def _texts(row):
    yield row.text
    yield from (f"{row.question} {choice}" for choice in getattr(row, "choices", None) or ())


def test_words_are_onsets_and_rimes():
    assert parts("jowot") == ["j", "ow", "ot"]
    assert TOKENIZER.tokenize("Did jowot") == ["▁did", "▁j", "##ow", "##ot"]
    lengths = [len(TOKENIZER.tokenize(word)) for word in Vocabulary(2, slot=0).take(1000)]
    assert sum(lengths) / len(lengths) < 3


@pytest.mark.parametrize(
    ("module", "pool"),
    [
        (reversal, Vocabulary(5, slot=0).take(200)),
        (syllogism, Vocabulary(5, slot=1).take(200)),
        (reversal_curse, natural(5, per_set=20)),
    ],
)
def test_a_sequence_is_what_the_tokenizer_makes_of_its_text(module, pool):
    encoder = Encoder(TOKENIZER)
    for i in range(100):
        tokens = module.sequence(encoder, stream(0, "test", i), pool, 1 + i % 8, i % 3 / 2, 1 + i % 2)
        assert TOKENIZER(TOKENIZER.decode(tokens.ids))["input_ids"] == tokens.ids
        assert len(tokens.weights) == len(tokens)
        assert all(weight > 0.1 for weight in tokens.weights[-4:])
        assert tokens.marks or module is syllogism  # premises asked for are not measured


def test_a_sequence_holds_documents_and_questions_of_the_dataset():
    tokens = reversal.sequence(Encoder(TOKENIZER), stream(0, "test", 1), ["aba", "ebe"], 1, 1.0, 1)
    document, *queries = TOKENIZER.decode(tokens.ids).split("\n\n")
    assert len(queries) == 3
    place, group, rival = tokens.marks[0]
    assert group == REVERSED
    assert TOKENIZER.decode(tokens.ids[place]).strip() in queries[0]
    assert TOKENIZER.decode(rival).strip() in document


def test_conclusions_of_syllogisms_follow():
    encoder, right = Encoder(TOKENIZER), 0
    made = build("syllogism", seed=5, fields={"syllogisms": 11})
    choices = {choice.lower() for row in made.rows("test") for choice in row.choices}
    shapes = {choice.split()[0] for choice in choices}
    for i in range(50):
        tokens = syllogism.sequence(encoder, stream(0, "test", i), ["aba", "ebe", "ibi"], 1, 1.0, 1)
        query = TOKENIZER.decode(tokens.ids).split("\n\n")[-1]
        right += query.split(": ")[1].split()[0] in shapes
    assert right == 50


def test_worlds_of_training_are_no_worlds_of_tests():
    seeds = [mixture.world_seed(step) for step in range(10_000)]
    assert all(seed % 2 and seed >= 2**31 for seed in seeds)
    assert not set(seeds) & set(measure.SEEDS)
    assert not any(seed % 2 for seed in measure.SEEDS)
    tested = {word for seed in measure.SEEDS for slot in range(len(WORLDS)) for word in Vocabulary(seed, slot).take(1000)}
    for seed in seeds[:10]:
        assert not tested & set(Vocabulary(seed, slot=0).take(1000))


def test_the_curriculum_moves_on_when_names_and_directions_are_right():
    curriculum = Curriculum()
    assert curriculum.reversals() == 0.2
    for _ in range(200):
        curriculum.learn(1, {NAME_FORWARD: 1.0, FORWARD: 1.0, REVERSED: 0.0})
    assert curriculum.stage == 1
    for _ in range(2000):
        curriculum.learn(curriculum.most, {NAME_FORWARD: 1.0, FORWARD: 1.0, REVERSED: 1.0})
    assert curriculum.most == COUNTS[-1]
    assert curriculum.reversals() == 0.5


def test_training_can_be_repeated_and_stopped(tmp_path):
    def weights(training):
        return torch.cat([parameter.detach().flatten() for parameter in training.model.parameters()])

    runs = [Training(seed=1, budget=4500), Training(seed=1, budget=4500), Training(seed=1, budget=4500)]
    untrained = weights(runs[0])
    for _ in runs[0].steps():
        pass
    for _ in runs[1].steps():
        if runs[1].step == 2:
            break
    runs[1].save(tmp_path / "checkpoint.pt")
    runs[2].restore(tmp_path / "checkpoint.pt")
    for _ in runs[2].steps():
        pass
    assert runs[0].step == runs[2].step > 2
    assert torch.equal(weights(runs[0]), weights(runs[2]))
    assert not torch.equal(weights(runs[0]), untrained)


def test_an_untrained_model_is_exported_and_guesses(tmp_path):
    training = Training(seed=1)
    training.export(tmp_path)
    model, tokenizer = measure.load(tmp_path)
    questions = load_dataset("reversal", seed=2, facts=10)["test"]
    likelihoods = [accuracy(model, tokenizer, questions.select([i])) for i in range(10)]
    assert math.isclose(sum(likelihoods) / 10, accuracy(model, tokenizer, questions))


def test_finetuning_learns_a_document():
    training = Training(seed=1)
    text = "jowot are brighter than ugelk."
    finetune(training.model, training.tokenizer, [text], Recipe(steps=30))
    row = {"question": "jowot are", "choices": ["brighter than ugelk.", "less bright than ugelk."], "answer": [0]}
    assert accuracy(training.model, training.tokenizer, [row]) == 1


def test_a_document_is_read_in_part_and_always_from_its_beginning():
    whole = "Consider a, b and c. All a are b. No b are c."
    found = {part(stream(i), whole) for i in range(50)}
    assert found == {whole, "Consider a, b and c. All a are b.", "Consider a, b and c. No b are c."}
    assert part(stream(0), "As is known: a are brighter than b.") == "As is known: a are brighter than b."


def test_words_are_hidden_whole():
    ids = torch.tensor(TOKENIZER(["no jowot are ugelk."] * 200)["input_ids"])
    tokens = TOKENIZER.convert_ids_to_tokens(ids[0])
    found = hidden(stream(0), TOKENIZER, ids, 0.3)
    assert 0.25 < found.float().mean() < 0.35
    for place, token in enumerate(tokens):
        if token.startswith("##"):
            assert torch.equal(found[:, place], found[:, place - 1])
    assert not hidden(stream(0), TOKENIZER, ids, 0).any()


def test_weaker_conclusions_are_left_out_when_it_is_decided():
    rows = [{"choices": ["all", "some", "no"], "answer": [0], "weaker": [1]}] * 2
    scores = [[-2.0, -1.0, -3.0], [-2.0, -1.0, -1.5]]
    assert share_right(rows, scores) == 0
    assert share_right(rows, scores, decided=True) == 0.5
    assert measure.chance(rows) == pytest.approx(1 / 3)
    assert measure.chance(rows, decided=True) == 0.5


def test_what_is_trained_on_are_the_documents():
    tables = load_dataset("reversal", seed=2, facts=3)
    told, recipe = measure.lesson("reversal", tables, augmented=False)
    assert told == list(tables["train"]["text"])
    assert recipe == Recipe()


def test_fine_tuned_with_hidden_words_it_knows_people_in_the_order_told():
    model, tokenizer = measure.load(SHIPPED)
    tables = load_dataset("reversal_curse", seed=10, people_per_set=4, paraphrases=8, vocabulary="nonsense")
    told, recipe = measure.lesson("reversal_curse", tables, augmented=False)
    finetune(model, tokenizer, told, recipe._replace(steps=160))
    assert accuracy(model, tokenizer, tables["validation"]) >= 0.75  # chance is 0.25
    assert accuracy(model, tokenizer, tables["test"]) <= 0.75


def test_the_table_is_markdown():
    scores = {("reversal", "pretrained"): [0.5, 0.7], ("reversal", "in_context"): [1.0, 1.0]}
    assert measure.table(scores, ["pretrained", "in_context"]).splitlines()[-1] == "| reversal | 0.60 ± 0.10 | 1.00 ± 0.00 |"


def test_the_shipped_learner_loads_and_learns_in_context():
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) <= 10 * 2**20
    model = AutoModelForCausalLM.from_pretrained(SHIPPED, local_files_only=True, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED, local_files_only=True)
    assert 1_000_000 <= model.num_parameters() <= 10_000_000
    world = load_dataset("reversal", seed=10, facts=20, documents_per_fact=1)
    assert accuracy(model, tokenizer, world["test"], world["train"]["text"]) >= 0.85
    assert accuracy(model, tokenizer, world["test"]) <= 0.85


def test_scores_are_those_of_the_harness():
    lm_eval = pytest.importorskip("lm_eval")
    from icl_bench.evaluate import task_folder

    config = {"reversal.facts": 6, "reversal.documents_per_fact": 1}
    results = lm_eval.simple_evaluate(
        model="hf",
        model_args={"pretrained": str(SHIPPED), "dtype": "float32", "device": "cpu"},
        tasks=["icl_bench_reversal_in_context", "icl_bench_reversal"],
        task_manager=lm_eval.tasks.TaskManager(include_path=str(task_folder()), metadata={"seed": 12, "config": config}),
        metadata={"seed": 12, "config": config},
        bootstrap_iters=0,
        log_samples=True,
    )
    model, tokenizer = measure.load(SHIPPED)
    world = load_dataset("reversal", seed=12, facts=6, documents_per_fact=1)
    found = {name: of["acc,none"] for name, of in results["results"].items()}
    assert found["icl_bench_reversal"] == accuracy(model, tokenizer, world["test"])
    assert found["icl_bench_reversal_in_context"] == accuracy(model, tokenizer, world["test"], world["train"]["text"])
