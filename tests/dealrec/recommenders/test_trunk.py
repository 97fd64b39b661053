import pytest
import torch

from dealrec.config.finetune import FinetuneConfig, LoraSettings
from dealrec.errors import InputError
from dealrec.finetune.adapter import adapter_state
from dealrec.finetune.trainer import LoraTraining
from dealrec.language_models.structure import find_structure
from dealrec.language_models.tokens import Encoder, padded
from dealrec.recommenders.registry import make_recommender
from dealrec.recommenders.trunk import KeptTrunk, Trunk
from tests.dealrec.language_models.tiny import tiny_loaded, tiny_samples

CONFIG = FinetuneConfig(epochs=3, learning_rate=0.01, lora=LoraSettings(last_layers=1, dropout=0.1))


def _trained(kept_at=None):
    recommender = make_recommender(tiny_loaded(), CONFIG, kept_at, batch_tokens=300)
    samples = tiny_samples(20)
    recommender.keep(recommender.encode(samples))
    assert (recommender.trunk_seconds_per_token > 0) == (kept_at is not None)
    training = LoraTraining(recommender, samples, CONFIG)
    while not training.finished:
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
    kept = KeptTrunk(loaded, 1, tmp_path)
    kept.keep(samples[:3])
    assert kept.tokens == sum(len(sample) for sample in samples[:3])
    with pytest.raises(KeyError):
        kept.hidden_states(samples[3:])


def test_what_was_kept_is_used_again_and_only_the_rest_is_computed(tmp_path):
    loaded = tiny_loaded()
    samples = Encoder(loaded.tokenizer, 512).encode(tiny_samples(8))
    first = KeptTrunk(loaded, 1, tmp_path)
    first.keep(samples[:5])
    again = KeptTrunk(loaded, 1, tmp_path)
    again.keep(samples[:5])
    assert (again.tokens, again.seconds) == (first.tokens, first.seconds)
    again.keep(samples)
    assert again.tokens == sum(len(sample) for sample in samples)
    assert again.seconds > first.seconds > 0
    torch.testing.assert_close(again.hidden_states(samples[:5]), first.hidden_states(samples[:5]))
    whole = find_structure(loaded.model).hidden_states(padded(samples, 256, loaded.device))
    for row, sample, mine in zip(whole, samples, again.hidden_states(samples), strict=True):
        torch.testing.assert_close(mine[: len(sample)], row[: len(sample)], rtol=1e-4, atol=1e-5)
    assert KeptTrunk(loaded, 2, tmp_path).tokens == 0  # another cut has files of its own


def test_an_unfinished_file_is_not_read(tmp_path):
    loaded = tiny_loaded()
    samples = Encoder(loaded.tokenizer, 512).encode(tiny_samples(4))
    kept = KeptTrunk(loaded, 1, tmp_path)
    kept.keep(samples)
    (index,) = tmp_path.rglob("*.npz")
    index.unlink()
    assert KeptTrunk(loaded, 1, tmp_path).tokens == 0
