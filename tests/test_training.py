"""Documents as examples to fine-tune on: what they hold, what is refused, and that a real trainer learns from them."""

import json
from math import isfinite

import pytest
from datasets import Dataset, DatasetDict, load_dataset

import icl_bench
from icl_bench import IclBenchError, training_text
from icl_bench.training import write_training_text

SPLITTINGS = ["none", "independent", "cumulative"]
FORMATS = ["text", "prompt_completion", "messages"]
INSTRUCTION = "Tell me something that you know."
WORLD = {"semantic_structure": {"documents": 300}, "syllogism": {"syllogisms": 15}, "reversal": {"facts": 5}}
COLUMNS = {"text": ["text"], "prompt_completion": ["prompt", "completion"], "messages": ["messages"]}


def documents(*rows):
    """A split of ours of (text, sentence_ends)."""
    return Dataset.from_list([{"text": text, "question": None, "sentence_ends": ends} for text, ends in rows])


@pytest.fixture(scope="module")
def articles():
    return icl_bench.load_dataset("semantic_structure", seed=2, documents=300)


TWO = documents(("News: A b. \n\n2) C d. More.", [10, 26]), ("E f.", [4]))


@pytest.mark.parametrize(
    ("split", "texts"),
    [
        ("none", ["News: A b. \n\n2) C d. More.", "E f."]),
        ("independent", ["News: A b.", "2) C d. More.", "E f."]),
        ("cumulative", ["News: A b.", "News: A b. \n\n2) C d. More.", "E f."]),
    ],
)
def test_text(split, texts):
    assert training_text(TWO, split)["text"] == texts


@pytest.mark.parametrize(
    ("split", "pairs"),
    [
        ("none", [(INSTRUCTION, "\n\nNews: A b. \n\n2) C d. More."), (INSTRUCTION, "\n\nE f.")]),
        ("independent", [(INSTRUCTION, "\n\nNews: A b."), (INSTRUCTION, "\n\n2) C d. More."), (INSTRUCTION, "\n\nE f.")]),
        ("cumulative", [(INSTRUCTION, "\n\nNews: A b."), ("News: A b.", " \n\n2) C d. More."), (INSTRUCTION, "\n\nE f.")]),
    ],
)
def test_prompts(split, pairs):
    assert [(row["prompt"], row["completion"]) for row in training_text(TWO, split, "prompt_completion")] == pairs
    turns = [row["messages"] for row in training_text(TWO, split, "messages")]
    assert [[turn["role"] for turn in both] for both in turns] == [["user", "assistant"]] * len(pairs)
    assert [tuple(turn["content"] for turn in both) for both in turns] == [(p, c.strip()) for p, c in pairs]


@pytest.mark.parametrize("name", WORLD)
def test_n_sentences_make_n_examples(name):
    world = icl_bench.load_dataset(name, seed=2, **WORLD[name])
    sentences = sum(len(ends) for ends in world["train"]["sentence_ends"])
    alone, together = (training_text(world, split)["text"] for split in ("independent", "cumulative"))
    assert len(alone) == len(together) == sentences
    assert len(training_text(world)) == len(world["train"])
    places = iter(zip(alone, together, strict=True))
    for text, ends in zip(world["train"]["text"], world["train"]["sentence_ends"], strict=True):
        pieces = [next(places) for _ in ends]
        assert pieces[-1][1] == text
        assert all(whole.endswith(piece) and text.startswith(whole) for piece, whole in pieces)
        assert "".join("".join(piece.split()) for piece, _ in pieces) == "".join(text.split())


def test_prompt_and_completion_are_the_document_unchanged(articles):
    whole = training_text(articles, "cumulative")["text"]
    pairs = training_text(articles, "cumulative", "prompt_completion")
    joined = [(row["prompt"] + row["completion"]).removeprefix(f"{INSTRUCTION}\n\n") for row in pairs]
    assert joined == whole
    assert not any(prompt[-1].isspace() for prompt in pairs["prompt"])


def test_a_name_is_loaded():
    world = icl_bench.load_dataset("reversal", seed=3, facts=5)
    assert training_text("reversal", seed=3, facts=5)["text"] == training_text(world)["text"] == world["train"]["text"]
    assert training_text(world["train"])["text"] == world["train"]["text"]
    assert len(training_text("reversal")) == 1000


def test_splits_one_after_another():
    world = DatasetDict(train=TWO, augmented_closure=documents(("G h. I j.", [4, 9])))
    assert training_text(world, "independent", splits=("train", "augmented_closure"))["text"][-3:] == ["E f.", "G h.", "I j."]
    assert training_text(world, splits="augmented_closure")["text"] == ["G h. I j."]


def test_documents_of_unknown_sentences_stay_whole():
    told = documents(("A b. C d.", None))
    assert training_text(told)["text"] == ["A b. C d."]
    with pytest.raises(IclBenchError, match=r"where the sentences of 'A b. C d.' end is not known; leave it whole"):
        training_text(told, "cumulative")
    with pytest.raises(IclBenchError, match="is not known"):
        training_text(documents(("A b. C d.", [4])), "independent")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("reversal", "sentences"), "split = 'sentences'; it is one of none, independent, cumulative"),
        (("reversal", "none", "chat"), "format = 'chat'; it is one of text, prompt_completion, messages"),
        (("reversals",), "there is no dataset 'reversals'; "),
        (("reversal", "none", "text", ("trian",)), "reversal has no split 'trian'; it has train, validation, test"),
        (("reversal", "none", "text", ()), "splits = []: name one or more"),
        (("reversal", "none", "text", ("test",)), " is a question: to train on it is to train on the test; "),
        (("reversal_facts",), "reversal_facts has no split 'train'; it has facts"),
        (("reversal_facts", "none", "text", ("facts",)), "reversal_facts has no column 'text'; "),
        ((TWO, "none", "text", ("test",)), "splits = ['test'] of a dataset that is one split; "),
        ((TWO, "none", "text", ("train",), 3), "seed, path and fields go with a name; "),
        ((["A b."],), "dataset is a list; give a name, a Dataset or a DatasetDict"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(IclBenchError) as caught:
        training_text(*arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- files


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_file_holds_the_same(articles, tmp_path, format, ending):
    out = tmp_path / "new" / f"train.{ending}"
    seen = []
    total = write_training_text(out, articles, "cumulative", format, progress=seen.append)
    expected = training_text(articles, "cumulative", format)
    assert seen == [*range(1000, total + 1, 1000), total]
    assert len(expected) == total
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    reader = "json" if ending == "jsonl" else "parquet"
    read = load_dataset(reader, data_files=str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert read.column_names == expected.column_names == COLUMNS[format]
    assert read.to_list() == expected.to_list()


def test_a_file_is_replaced_by_force_alone(tmp_path):
    out = tmp_path / "train.jsonl"
    out.write_text("mine")
    with pytest.raises(IclBenchError, match="exists; choose another --out, or replace it with --force"):
        write_training_text(out, TWO)
    assert write_training_text(out, TWO, force=True) == 2
    assert [json.loads(line) for line in out.read_text().splitlines()] == training_text(TWO).to_list()


def test_what_fails_leaves_nothing(tmp_path):
    out = tmp_path / "train.parquet"
    out.write_text("mine")
    with pytest.raises(IclBenchError, match="is a question"):
        write_training_text(out, "reversal", splits=("train", "test"), force=True)
    assert out.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [out]
    with pytest.raises(IclBenchError, match="give a file that ends in"):
        write_training_text(tmp_path / "train.csv", TWO)
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(IclBenchError, match="is a folder"):
        write_training_text(tmp_path / "a.jsonl", TWO)
    with pytest.raises(IclBenchError, match=r"cannot write .*\.jsonl: "):
        write_training_text(out / "train.jsonl", TWO)


# ---- a real trainer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a random model and a tokenizer of bytes."""
    pytest.importorskip("trl")
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(["<pad>", "<eos>", *alphabet])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")
    fast.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<eos>{% endfor %}"
    out = tmp_path_factory.mktemp("model")
    fast.save_pretrained(out)
    config = GPT2Config(
        vocab_size=258, n_positions=2048, n_embd=16, n_layer=1, n_head=2, bos_token_id=1, eos_token_id=1, pad_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(out)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # beside other tests, more only wait for each other
    yield out
    torch.set_num_threads(threads)


@pytest.mark.filterwarnings("ignore")  # of the libraries
@pytest.mark.parametrize("split", SPLITTINGS)
@pytest.mark.parametrize("format", FORMATS)
def test_two_steps_of_a_trainer(folder, tmp_path, split, format):
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    rows = training_text("syllogism", split, format, seed=2, syllogisms=15).select(range(10))
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = SFTConfig(
        output_dir=str(tmp_path),
        max_steps=2,
        per_device_train_batch_size=4,
        learning_rate=3e-4,
        logging_steps=1,
        max_length=None,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
    )
    before = [parameter.detach().clone() for parameter in model.parameters()]
    trainer = SFTTrainer(model=model, args=config, train_dataset=rows, processing_class=tokenizer)
    trainer.train()
    assert trainer.state.global_step == 2
    assert all(isfinite(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry)
    assert any((old != new).any() for old, new in zip(before, model.parameters(), strict=True))
    assert len(trainer.train_dataset) == len(rows)
    for row, ids in zip(rows, trainer.train_dataset, strict=True):
        read = tokenizer.decode(ids["input_ids"])
        if format == "text":
            assert read == f"{row['text']}<eos>"
        elif format == "messages":
            assert read == "".join(f"<{turn['role']}>{turn['content']}<eos>" for turn in row["messages"])
        else:
            assert read == f"{row['prompt']}{row['completion']}<eos>"
            learned = [token for token in ids["labels"] if token != -100]
            assert tokenizer.decode(learned) == f"{row['completion']}<eos>"
