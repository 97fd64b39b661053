"""Exports: every format says the same, a chat API would take it, and trainers know every option."""

import dataclasses
import io
import json
import math
import shutil
import zipfile
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
import yaml
from transformers import TrainingArguments
from typer.testing import CliRunner

import dealrec
from dealrec.cli import register
from dealrec.config import FinetuneConfig, PruneConfig
from dealrec.coresets.exports import write_export, zip_export
from dealrec.coresets.formats import CoresetFormat, write_format
from dealrec.coresets.members import read_members, text_columns
from dealrec.coresets.trainer_options import FurtherOptions
from dealrec.errors import InputError
from tests.dealrec.coresets.chat_rules import broken_rules
from tests.dealrec.language_models.tiny import tiny_samples

TRAINED = [kind for kind in CoresetFormat if kind.for_training]
PUBLISHED = Path(__file__).parent / "published"


@pytest.fixture(scope="module")
def members(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("members") / "members.parquet"
    columns = {
        "sample_key": [str(number) for number in range(20)],
        "history": [["a", "b"]] * 20,
        "influence": [0.5] * 20,
        **text_columns(tiny_samples(20)),
    }
    pq.write_table(pa.table(columns), path)
    return path


def written(members: Path, kind: CoresetFormat) -> bytes:
    buffer = io.BytesIO()
    write_format(members, kind, buffer)
    return buffer.getvalue()


def lines(members: Path, kind: CoresetFormat) -> list:
    return [json.loads(line) for line in written(members, kind).splitlines()]


def test_every_format_has_the_same_words(members):
    samples = read_members(members)
    pairs = [{"prompt": each.prompt, "completion": each.completion} for each in samples]
    assert lines(members, CoresetFormat.PROMPT_COMPLETION) == pairs
    chats = [row["messages"] for row in lines(members, CoresetFormat.MESSAGES)]
    assert [chat[-1] for chat in chats] == [
        {"role": "assistant", "content": sample.output} for sample in samples
    ]
    assert [chat[-2]["content"] for chat in chats] == [pair["prompt"] for pair in pairs]
    assert lines(members, CoresetFormat.CONVERSATIONAL) == [
        {"prompt": chat[:-1], "completion": chat[-1:]} for chat in chats
    ]
    names = {"system": "system", "user": "human", "assistant": "gpt"}
    assert json.loads(written(members, CoresetFormat.SHAREGPT)) == [
        {"conversations": [{"from": names[t["role"]], "value": t["content"]} for t in chat]}
        for chat in chats
    ]


def test_a_hugging_face_folder_loads_with_words_turns_and_scores(members, tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    out = tmp_path / "data set"
    out.mkdir()
    write_export(members, CoresetFormat.HUGGINGFACE, FinetuneConfig(), out, title='"Games", 20')
    loaded = datasets.load_dataset(str(out))["train"]
    rows = pq.read_table(members).to_pylist()
    for name in ("sample_key", "history", "influence"):
        assert loaded[name][:] == [row[name] for row in rows]
    pairs = lines(members, CoresetFormat.PROMPT_COMPLETION)
    assert [{key: row[key] for key in ("prompt", "completion")} for row in loaded] == pairs
    assert loaded["messages"][:] == [
        row["messages"] for row in lines(members, CoresetFormat.MESSAGES)
    ]
    card = yaml.safe_load((out / "README.md").read_text().split("---\n")[1])
    assert (card["pretty_name"], card["size_categories"]) == ('"Games", 20', ["n<1K"])


def test_a_chat_api_would_take_the_messages(members):
    assert not broken_rules(written(members, CoresetFormat.MESSAGES))


BROKEN = {
    "data_type": [],
    "missing_messages_list": {"messages": []},
    "example_unrecognized_key": {"messages": "GOOD", "sample_key": "1"},
    "message_missing_key": {"messages": [{"role": "user"}, "ANSWER"]},
    "message_unrecognized_key": {"messages": [{"role": "user", "content": "a", "x": 1}, "ANSWER"]},
    "unrecognized_role": {"messages": [{"role": "human", "content": "a"}, "ANSWER"]},
    "missing_content": {"messages": [{"role": "user", "content": " "}, "ANSWER"]},
    "example_missing_assistant_message": {"messages": [{"role": "user", "content": "a"}]},
    "last_message_not_assistant": {"messages": ["ANSWER", {"role": "user", "content": "a"}]},
    "system_message_not_first": {
        "messages": [{"role": "user", "content": "a"}, "SYSTEM", "ANSWER"]
    },
    "wrong_weight": {"messages": [{"role": "assistant", "content": "a", "weight": 2}]},
    "example_too_long": {"messages": [{"role": "user", "content": "a" * 70_000}, "ANSWER"]},
}


@pytest.mark.parametrize("rule", BROKEN)
def test_the_rules_of_the_chat_api_find_what_breaks_them(members, rule):
    words = {
        '"ANSWER"': '{"role": "assistant", "content": "b"}',
        '"SYSTEM"': '{"role": "system", "content": "s"}',
        '"GOOD"': '[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]',
    }
    line = json.dumps(BROKEN[rule])
    for name, value in words.items():
        line = line.replace(name, value)
    found = broken_rules(written(members, CoresetFormat.MESSAGES) + line.encode())
    assert rule in found
    assert "too_few_examples" in broken_rules(line.encode())


def published(name: str) -> list[set[str]]:
    """The names in each part of a list of published options."""
    parts = (PUBLISHED / name).read_text().split("# ")[1:]
    return [set(part.partition("\n")[2].split()) for part in parts]


@pytest.mark.parametrize("kind", TRAINED)
def test_axolotl_and_llama_factory_know_every_option(members, tmp_path, kind):
    config = FinetuneConfig.parse(
        {"model": "org/model", "epochs": 3, "batch_size": 6, "learning_rate": 1e-5, "seed": 5}
    )
    export = write_export(members, kind, config, tmp_path)
    if kind is CoresetFormat.CONVERSATIONAL:
        assert not {"axolotl.yaml", "llamafactory.yaml"} & {*export.files}
        assert any("`messages`" in note for note in export.notes)
        return
    axolotl = yaml.safe_load((tmp_path / "axolotl.yaml").read_text())
    options, of_dataset, of_type = published("axolotl.txt")
    (source,) = axolotl["datasets"]
    assert {*axolotl} <= options
    assert {*source} <= of_dataset
    assert isinstance(source["type"], str) or {*source["type"]} <= of_type
    factory = yaml.safe_load((tmp_path / "llamafactory.yaml").read_text())
    own = {field.name for field in dataclasses.fields(TrainingArguments)}
    assert {*factory} <= own.union(*published("llamafactory.txt"))
    described = json.loads((tmp_path / "dataset_info.json").read_text())[factory["dataset"]]
    for name in (source["path"], described["file_name"]):
        assert (tmp_path / name).is_file()
    trl = yaml.safe_load((tmp_path / "trl.yaml").read_text())
    steps = {"learning_rate": 1e-5, "warmup_steps": 1, "seed": 5, "weight_decay": 0.0}
    for made in (axolotl, factory, trl):
        assert steps.items() <= made.items()
        assert made.get("num_epochs", made.get("num_train_epochs")) == 3
        assert made.get("micro_batch_size", made.get("per_device_train_batch_size")) == 6
        assert made.get("lora_r", made.get("lora_rank")) == 8
    lengths = (axolotl["sequence_len"], factory["cutoff_len"], trl["max_length"])
    assert lengths == (512, 512, 512)
    masks = (axolotl["train_on_inputs"], factory["train_on_prompt"])
    assert masks == (False, False)


FURTHER = {
    "gradient_accumulation": 2,
    "activation_checkpointing": True,
    "quantization": "nf4",
    "lora": {"rslora": True, "dora": True},
    "validation": {"samples": 50, "every_steps": 3, "patience": 2},
}


def test_configurations_have_the_newer_options_of_a_training(members, tmp_path):
    config = FinetuneConfig.parse({"model": "org/model", "epochs": 4, "batch_size": 3, **FURTHER})
    export = write_export(members, CoresetFormat.MESSAGES, config, tmp_path)
    axolotl, factory, trl = (
        yaml.safe_load((tmp_path / f"{name}.yaml").read_text())
        for name in ("axolotl", "llamafactory", "trl")
    )
    assert {*axolotl} <= published("axolotl.txt")[0]
    own = {field.name for field in dataclasses.fields(TrainingArguments)}
    assert {*factory} <= own.union(*published("llamafactory.txt"))
    for made in (axolotl, factory, trl):
        assert made["gradient_accumulation_steps"] == 2
        assert (made["eval_strategy"], made["eval_steps"], made["save_steps"]) == ("steps", 3, 3)
        assert made["load_best_model_at_end"] and not made["greater_is_better"]
        # 18 rows are learned, 6 in a step: 3 steps an epoch, 12 in all, of which 5 % are for warming up
        assert made["warmup_steps"] == 1
    shares = axolotl["val_set_size"], factory["val_size"], trl["test_split_size"]
    assert [math.ceil(share * 20) for share in shares] == [2, 2, 2]
    assert (axolotl["early_stopping_patience"], factory["early_stopping_steps"]) == (2, 2)
    checkpointed = (
        axolotl["gradient_checkpointing"],
        not factory["disable_gradient_checkpointing"],
        trl["gradient_checkpointing"],
    )
    assert all(checkpointed)
    assert (axolotl["adapter"], axolotl["load_in_4bit"]) == ("qlora", True)
    assert (factory["quantization_bit"], factory["quantization_type"]) == (4, "nf4")
    assert trl["load_in_4bit"] and trl["use_bnb_nested_quant"]
    assert axolotl["peft_use_rslora"] and axolotl["peft_use_dora"]
    for made in (factory, trl):
        assert made["use_rslora"] and made["use_dora"]
    told = " ".join(export.notes)
    for part in ("2 of the 20 rows", "TRL has no option for early stopping", "bitsandbytes"):
        assert part in told


@pytest.mark.parametrize(("samples", "wanted", "held_out"), [(8, 5, 1), (100, 7, 7), (20, 50, 2)])
def test_other_trainers_hold_out_the_rows_that_are_said(samples, wanted, held_out):
    config = FinetuneConfig.parse({"validation": {"samples": wanted}})
    further = FurtherOptions(config, samples)
    assert further.held_out == held_out
    rows = datasets.Dataset.from_dict({"row": range(samples)})
    for share in (
        further.axolotl()["val_set_size"],
        further.llama_factory()["val_size"],
        further.trl()["test_split_size"],
    ):
        asked = int(share) if share > 1 else float(share)  # as Axolotl and LLaMA-Factory read it
        assert len(rows.train_test_split(test_size=asked)["test"]) == held_out


def test_weights_of_8_bits_are_asked_for_everywhere(members, tmp_path):
    config = FinetuneConfig.parse({"model": "org/model", "quantization": "int8"})
    write_export(members, CoresetFormat.MESSAGES, config, tmp_path)
    found = [
        yaml.safe_load((tmp_path / f"{name}.yaml").read_text())
        for name in ("axolotl", "llamafactory", "trl")
    ]
    assert [one.get("load_in_8bit", one.get("quantization_bit")) for one in found] == [
        True,
        8,
        True,
    ]
    assert [one["save_strategy"] for one in found] == ["no"] * 3


def test_what_configurations_cannot_say_is_said(members, tmp_path):
    config = FinetuneConfig.parse(
        {"loss_on": "all", "lora": {"alpha": 2.5, "last_layers": 2}, "recommender": "encoder"}
    )
    export = write_export(members, CoresetFormat.MESSAGES, config, tmp_path)
    told = " ".join(export.notes)
    for part in ("GGUF", "`encoder`", "last_layers", "2.5"):
        assert part in told
    assert all(note in (tmp_path / "README.md").read_text() for note in export.notes)
    assert yaml.safe_load((tmp_path / "axolotl.yaml").read_text())["train_on_inputs"] is True


def test_a_model_of_the_hub_is_named_at_its_revision(members, tmp_path, monkeypatch):
    catalogue = tmp_path / "models.toml"
    commit = "abc123" + "0" * 34
    catalogue.write_text(
        f"[models.mine]\nrepository = 'org/mine'\nrevision = '{commit}'\ntarget_modules = ['k_proj']\n"
    )
    monkeypatch.setenv("DEALREC_MODELS", str(catalogue))
    write_export(members, CoresetFormat.MESSAGES, FinetuneConfig(model="mine"), tmp_path)
    trl = yaml.safe_load((tmp_path / "trl.yaml").read_text())
    named = (trl["model_name_or_path"], trl["model_revision"], trl["lora_target_modules"])
    assert named == ("org/mine", commit, [r"(.*\.)?k_proj"])
    axolotl = yaml.safe_load((tmp_path / "axolotl.yaml").read_text())
    assert (axolotl["base_model"], axolotl["revision_of_model"]) == ("org/mine", commit)


def test_the_same_export_is_the_same_zip(members, tmp_path):
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        export = write_export(members, CoresetFormat.ALPACA, FinetuneConfig(), tmp_path / name)
        zip_export(export, tmp_path / f"{name}.zip")
        made.append((tmp_path / f"{name}.zip").read_bytes())
    assert made[0] == made[1]
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert {*archive.namelist()} == {*export.files}


def test_examples_become_a_new_folder_or_none(tmp_path):
    examples = tmp_path / "examples.json"
    examples.write_text(json.dumps([{"instruction": "Do.", "output": "That."}] * 3))
    export = dealrec.export(examples, out=tmp_path / "out")
    assert (export.samples, {*export.files} >= {"train.jsonl", "README.md"}) == (3, True)
    assert any("10 examples" in note for note in export.notes)
    with pytest.raises(InputError, match="already exists"):
        dealrec.export(examples, out=tmp_path / "out")
    for kind, code in (("csv", "no_configurations"), ("pickle", "unknown_format")):
        with pytest.raises(InputError) as refused:
            dealrec.export(examples, format=kind, out=tmp_path / "none")
        assert refused.value.code == code
    with pytest.raises(InputError):
        dealrec.export(tmp_path / "missing.json", out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_command_repeats_the_run_that_left_the_folder(members, tmp_path):
    shutil.copy(members, tmp_path / "members.parquet")
    (tmp_path / "manifest.json").write_text("{}")
    config = PruneConfig.parse({"finetune": {"lora": {"rank": 5}}}).model_dump(mode="json")
    (tmp_path / "config.json").write_text(json.dumps(config))
    application = typer.Typer()
    register(application)

    def rank(out: str, *options: str) -> int:
        told = ["export", str(tmp_path), "--out", str(tmp_path / out), "--json", *options]
        answer = CliRunner().invoke(application, told)
        assert answer.exit_code == 0, answer.output
        assert json.loads(answer.stdout)["samples"] == 20
        return yaml.safe_load((tmp_path / out / "trl.yaml").read_text())["lora_r"]

    assert rank("one") == 5
    assert rank("two", "--format", "alpaca", "--set", "lora.rank=9", "--model", "org/model") == 9
