import json
import re

import pytest
import torch
from safetensors.torch import load_file

from dealrec.config.finetune import FinetuneConfig, LoraSettings
from dealrec.errors import Cancelled, InputError
from dealrec.finetune.schedule import Schedule
from dealrec.finetune.training import finetune
from dealrec.language_models.loading import load_language_model
from dealrec.progress import Silent
from dealrec.recommenders.bigrec import TitleObjective
from tests.dealrec.language_models.tiny import tiny_model, tiny_samples
from tests.dealrec.test_checkpoints import FAILURE, Events


def _config(folder, **changes):
    settings = {"epochs": 2, "learning_rate": 0.01, "lora": LoraSettings(dropout=0.1)}
    return FinetuneConfig(model=str(folder), **{**settings, **changes})


class _StopAt(Silent):
    def __init__(self, step):
        self.step = step

    def progress(self, done, total, unit):
        assert unit == "step"
        if done == self.step:
            raise Cancelled("asked to stop")


def test_training_lowers_the_loss(model_folder, tmp_path):
    samples = tiny_samples(24)
    losses = [
        finetune(samples, _config(model_folder, epochs=n), out=tmp_path / str(n)).metrics
        for n in (1, 8)
    ]
    assert losses[1]["train_loss"] < losses[0]["train_loss"] - 0.3


def test_a_resumed_training_ends_with_the_very_same_adapter(model_folder, tmp_path):
    samples, config = tiny_samples(20), _config(model_folder, checkpoint_steps=2)
    undisturbed = finetune(samples, config, out=tmp_path / "a")
    for step in (3, 5):
        with pytest.raises(Cancelled):
            finetune(
                samples,
                config,
                out=tmp_path / "b",
                checkpoint_dir=tmp_path / "checkpoints",
                reporter=_StopAt(step),
            )
        assert not (tmp_path / "b").exists()
    resumed = finetune(samples, config, out=tmp_path / "b", checkpoint_dir=tmp_path / "checkpoints")
    first, second = (load_file(tmp_path / x / "adapter_model.safetensors") for x in "ab")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert resumed.metrics["train_loss"] == undisturbed.metrics["train_loss"]


def test_a_checkpoint_of_another_training_is_not_resumed(model_folder, tmp_path):
    checkpoints = tmp_path / "checkpoints"
    config = _config(model_folder, epochs=1)
    finetune(tiny_samples(8), config, out=tmp_path / "a", checkpoint_dir=checkpoints)
    other = tiny_samples(8, seed=1)
    finetune(other, config, out=tmp_path / "b", checkpoint_dir=checkpoints)
    finetune(other, config, out=tmp_path / "c")
    second, third = (load_file(tmp_path / x / "adapter_model.safetensors") for x in "bc")
    assert all(torch.equal(second[name], third[name]) for name in second)


def test_the_folder_loads_with_peft_and_its_card_loads_its_base(model_folder, tmp_path):
    from peft import PeftModel

    out = tmp_path / "adapter"
    finetune(
        tiny_samples(8), _config(model_folder), out=out, model_card={"coreset SHA-256": "abc123"}
    )
    assert {file.name for file in out.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "README.md",
    }
    config = json.loads((out / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(model_folder)
    assert config["target_modules"] == ["q_proj", "v_proj"]
    card = (out / "README.md").read_text()
    assert "abc123" in card
    base, tokens = tiny_model(), torch.arange(20)[None]
    with torch.no_grad():
        before = base(tokens).logits
        adapted = PeftModel.from_pretrained(base, out)(tokens).logits
    assert not torch.allclose(before, adapted)
    (named,) = re.findall(r"load_language_model\('(.*?)'", card)
    loaded = load_language_model(named, dtype="float32", device="cpu")
    assert torch.equal(loaded.model(tokens).logits, before)


def test_wrong_modules_and_no_samples_are_refused(model_folder, tmp_path):
    for modules in (("nothing",), ("q_proj", "nothing", "self_attn.v_proj")):
        config = _config(model_folder, lora=LoraSettings(target_modules=modules))
        with pytest.raises(InputError, match=r"no modules `nothing`.*k_proj") as refusal:
            finetune(tiny_samples(2), config, out=tmp_path / "a")
        assert refusal.value.code == "unknown_target_modules"
    with pytest.raises(InputError) as refusal:
        finetune([], config, out=tmp_path / "a")
    assert refusal.value.code == "no_examples"
    assert list(tmp_path.iterdir()) == []


def test_an_epoch_sees_every_sample_once_and_the_rate_rises_then_falls():
    schedule = Schedule(FinetuneConfig(epochs=2, batch_size=4, warmup_fraction=0.5), 10)
    assert schedule.steps == 6
    first = [index for step in range(3) for index in schedule.batch(step)]
    second = [index for step in range(3, 6) for index in schedule.batch(step)]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    rates = [schedule.learning_rate(step) / 1e-4 for step in range(6)]
    assert rates == pytest.approx([1 / 3, 2 / 3, 1, 1, 2 / 3, 1 / 3])


def test_a_training_whose_checkpoints_find_no_room_ends_with_the_same_adapter(
    model_folder, tmp_path, full_disk
):
    samples, config, events = tiny_samples(8), _config(model_folder, checkpoint_steps=1), Events()
    finetune(samples, config, out=tmp_path / "a")
    finetune(samples, config, out=tmp_path / "b", checkpoint_dir=full_disk.folder, reporter=events)
    first, second = (load_file(tmp_path / x / "adapter_model.safetensors") for x in "ab")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert events.seen.count(FAILURE) == 1


@pytest.mark.parametrize("pieces", [1, 32])
def test_a_step_that_memory_does_not_hold_is_made_in_smaller_parts(
    model_folder, tmp_path, monkeypatch, pieces
):
    samples = tiny_samples(8)
    config = _config(model_folder, epochs=1, lora=LoraSettings(dropout=0))
    finetune(samples, config, out=tmp_path / "a")
    whole, sizes, events = TitleObjective.loss_sum, [], Events()

    def small(self, samples):
        """As on an accelerator that holds two samples."""
        sizes.append(len(samples))
        if len(samples) > 2:
            raise torch.OutOfMemoryError
        return whole(self, samples)

    monkeypatch.setattr(TitleObjective, "loss_sum", small)
    finetune(samples, config, out=tmp_path / "b", reporter=events, pieces=pieces)
    assert (max(sizes) > 2) == (pieces == 1)
    replanned = [data["batch_tokens"] for kind, data in events.seen if kind == "replanned"]
    assert replanned == [2048 // pieces] if pieces > 1 else replanned[-1] < 2048
    first, second = (load_file(tmp_path / x / "adapter_model.safetensors") for x in "ab")
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-4, atol=1e-6)


def test_a_sample_that_memory_does_not_hold_alone_is_an_error(model_folder, tmp_path, monkeypatch):
    def none(self, samples):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(TitleObjective, "loss_sum", none)
    with pytest.raises(torch.OutOfMemoryError):
        finetune(tiny_samples(4), _config(model_folder), out=tmp_path / "a")
