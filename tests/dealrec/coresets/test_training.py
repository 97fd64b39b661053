"""TRL, as people have it, trains on every export; the options for others are those that they publish."""

import json
import runpy
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

from dealrec.config import FinetuneConfig
from dealrec.config.finetune import Quantization
from dealrec.coresets.exports import write_export
from dealrec.coresets.formats import CoresetFormat
from dealrec.coresets.members import read_members, text_columns
from dealrec.coresets.trainers import TRL_SCRIPT
from dealrec.language_models.tokens import Encoder
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model, tiny_samples

TRAINED = [kind for kind in CoresetFormat if kind.for_training]
CHAT = (
    "{% for turn in messages %}<{{ turn.role[0] }}>{% if turn.role == 'assistant' %}{% generation %}"
    "{{ turn.content + eos_token }}{% endgeneration %}{% else %}{{ turn.content }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<a>{% endif %}"
)
"""A chat template that marks the assistant's words for TRL."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> FinetuneConfig:
    """Two steps with a tiny model."""
    folder = tmp_path_factory.mktemp("model")
    tiny_model().save_pretrained(folder)
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder)
    return FinetuneConfig.parse(
        {
            "model": str(folder),
            "learning_rate": 1e-5,
            "seed": 7,
            "weight_decay": 0.01,
            "lora": {"rank": 3, "alpha": 6, "target_modules": ["k_proj", "o_proj"]},
        }
    )


@pytest.fixture(scope="module")
def members(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("members") / "members.parquet"
    pq.write_table(pa.table(text_columns(tiny_samples(16))), path)
    return path


@pytest.fixture
def trainings(monkeypatch, tmp_path) -> list:
    """The trainers of TRL that have trained, in a folder and with a cache of this test alone."""
    import datasets
    from trl import SFTTrainer

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    train, trained = SFTTrainer.train, []

    def watched(trainer, *arguments, **options):
        trained.append(trainer)
        return train(trainer, *arguments, **options)

    monkeypatch.setattr(SFTTrainer, "train", watched)
    monkeypatch.chdir(tmp_path)
    return trained


@pytest.mark.parametrize("kind", TRAINED)
def test_trl_makes_two_steps_with_our_settings(kind, members, settings, trainings, tmp_path):
    from trl.scripts import sft

    export = write_export(members, kind, settings, tmp_path)
    if TRL_SCRIPT in export.files:
        runpy.run_path(TRL_SCRIPT)
    else:
        parser = sft.make_parser()
        sft.main(
            *parser.parse_args_and_config(["--config", "trl.yaml"], fail_with_unknown_args=True)
        )
    (trainer,) = trainings
    assert trainer.state.global_step == 2
    assert trainer.args.max_grad_norm == settings.max_gradient_norm
    made = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (made["r"], made["lora_alpha"], made["lora_dropout"]) == (3, 6, 0.05)
    assert {*made["target_modules"]} == {"k_proj", "o_proj"}
    weights = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    learned = [weight.abs().max().item() for name, weight in weights.items() if "lora_B" in name]
    assert min(learned) > 0
    assert export.samples == len(trainer.train_dataset) == 16

    if kind is CoresetFormat.PROMPT_COMPLETION:
        assert_same_tokens(trainer.train_dataset, read_members(members))


@pytest.mark.parametrize("kind", [CoresetFormat.CONVERSATIONAL, CoresetFormat.ALPACA])
def test_trl_trains_with_the_newer_options(kind, members, settings, trainings, tmp_path):
    from trl.scripts import sft

    config = FinetuneConfig.parse(
        {
            **settings.model_dump(mode="json"),
            "batch_size": 4,
            "gradient_accumulation": 2,
            "activation_checkpointing": True,
            "lora": {"rank": 3, "target_modules": ["k_proj"], "rslora": True, "dora": True},
            "validation": {"samples": 1, "every_steps": 1, "patience": 1},
        }
    )
    export = write_export(members, kind, config, tmp_path)
    if TRL_SCRIPT in export.files:
        runpy.run_path(TRL_SCRIPT)
    else:
        parser = sft.make_parser()
        sft.main(
            *parser.parse_args_and_config(["--config", "trl.yaml"], fail_with_unknown_args=True)
        )
    (trainer,) = trainings
    assert trainer.state.global_step == 2  # 15 rows, 8 in a step
    assert len(trainer.eval_dataset) == 1
    measured = [row["eval_loss"] for row in trainer.state.log_history if "eval_loss" in row]
    assert len(measured) == 2 and trainer.state.best_metric == pytest.approx(min(measured))
    made = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert made["use_rslora"] and made["use_dora"]
    weights = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert len(weights) == 9 and all("k_proj" in name for name in weights)


def test_trl_knows_the_options_of_quantized_weights(members, settings, tmp_path):
    from trl.scripts import sft

    config = settings.model_copy(update={"quantization": Quantization.NF4})
    write_export(members, CoresetFormat.CONVERSATIONAL, config, tmp_path)
    asked = ["--config", str(tmp_path / "trl.yaml")]
    *_, model, _ = sft.make_parser().parse_args_and_config(asked, fail_with_unknown_args=True)
    assert (model.load_in_4bit, model.use_bnb_nested_quant, model.bnb_4bit_quant_type) == (
        *(True, True),
        "nf4",
    )


def assert_same_tokens(theirs, samples) -> None:
    """TRL reads the tokens that our own trainer reads, and learns those that ours learns."""
    ours = Encoder(byte_tokenizer(), 512).encode(samples)
    assert theirs["input_ids"][:] == [sample.ids for sample in ours]
    assert theirs["labels"][:] == [
        [-100] * sample.answer + sample.ids[sample.answer :] for sample in ours
    ]
