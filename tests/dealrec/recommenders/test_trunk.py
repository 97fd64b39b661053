import pytest
import torch

from dealrec.config.finetune import FinetuneConfig, LoraSettings
from dealrec.errors import InputError
from dealrec.finetune.adapter import adapter_state
from dealrec.finetune.training import Training
from dealrec.language_models.tokens import Encoder
from dealrec.recommenders.trunk import KeptTrunk, Trunk
from tests.dealrec.language_models.tiny import tiny_loaded, tiny_samples

CONFIG = FinetuneConfig(epochs=3, learning_rate=0.01, lora=LoraSettings(last_layers=1, dropout=0.1))


def _trained(kept_at=None):
    loaded = tiny_loaded()
    samples = Encoder(loaded.tokenizer, 512).encode(tiny_samples(20))
    kept = None if kept_at is None else KeptTrunk(loaded, 1, samples, kept_at, batch_tokens=300)
    training = Training(loaded, samples, CONFIG, kept and kept.hidden_states)
    while training.step < training.schedule.steps:
        training.advance()
    return training


def test_training_on_a_kept_trunk_ends_with_the_adapter_of_training_without_one(tmp_path):
    plain, kept = _trained(), _trained(tmp_path / "trunk")
    assert kept.losses == pytest.approx(plain.losses, rel=1e-5)
    first, second = adapter_state(plain.model), adapter_state(kept.model)
    assert first.keys() == second.keys()
    assert all(name.split(".layers.")[1].startswith("2.") for name in first)
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-4, atol=1e-5)
    assert any(first[name].abs().max() > 1e-3 for name in first if "lora_B" in name)


def test_all_layers_cannot_be_trained_on_a_trunk():
    with pytest.raises(InputError) as refusal:
        Trunk(tiny_loaded(), 3)
    assert refusal.value.code == "too_many_layers"


def test_a_text_that_was_not_kept_is_not_made_up(tmp_path):
    loaded = tiny_loaded()
    samples = Encoder(loaded.tokenizer, 512).encode(tiny_samples(4))
    kept = KeptTrunk(loaded, 1, samples[:3], tmp_path / "trunk")
    assert kept.tokens == sum(len(sample) for sample in samples[:3])
    with pytest.raises(KeyError):
        kept.hidden_states(samples[3:])
