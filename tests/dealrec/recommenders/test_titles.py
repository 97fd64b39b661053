import numpy as np
import pytest
import torch

from dealrec.config.finetune import FinetuneConfig, LoraSettings
from dealrec.recommenders.registry import make_recommender
from dealrec.recommenders.titles import title_losses
from tests.dealrec.language_models.tiny import tiny_loaded, tiny_samples


def test_the_loss_of_a_title_is_that_of_its_tokens_alone_one_by_one(tmp_path):
    loaded = tiny_loaded()
    recommender = make_recommender(loaded, FinetuneConfig())
    samples = recommender.encode(tiny_samples(12))
    found = title_losses(recommender, samples, batch_tokens=200)
    for sample, total, count in zip(samples, found.per_title, found.tokens, strict=True):
        labels = torch.tensor(sample.ids)
        labels[: sample.answer] = -100
        with torch.no_grad():
            mean = loaded.model(input_ids=torch.tensor([sample.ids]), labels=labels[None]).loss
        assert count == len(sample) - sample.answer
        assert total == pytest.approx(float(mean) * count, rel=1e-4)
    last_layer = FinetuneConfig(lora=LoraSettings(last_layers=1))
    recommender = make_recommender(loaded, last_layer, tmp_path)
    recommender.keep(samples)
    again = title_losses(recommender, samples)
    np.testing.assert_allclose(again.per_title, found.per_title, rtol=1e-4)
    np.testing.assert_allclose(found.per_token, found.per_title / found.tokens)
