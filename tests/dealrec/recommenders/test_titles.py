import numpy as np
import pytest
import torch

from dealrec.language_models.tokens import Encoder
from dealrec.recommenders.titles import title_losses
from dealrec.recommenders.trunk import KeptTrunk
from tests.dealrec.language_models.tiny import tiny_loaded, tiny_samples


def test_the_loss_of_a_title_is_that_of_its_tokens_alone_one_by_one(tmp_path):
    loaded = tiny_loaded()
    samples = Encoder(loaded.tokenizer, 512).encode(tiny_samples(12))
    found = title_losses(loaded, samples, batch_tokens=200)
    for sample, total, count in zip(samples, found.per_title, found.tokens, strict=True):
        labels = torch.tensor(sample.ids)
        labels[: sample.answer] = -100
        with torch.no_grad():
            mean = loaded.model(input_ids=torch.tensor([sample.ids]), labels=labels[None]).loss
        assert count == len(sample) - sample.answer
        assert total == pytest.approx(float(mean) * count, rel=1e-4)
    kept = KeptTrunk(loaded, 1, tmp_path)
    kept.keep(samples)
    again = title_losses(loaded, samples, kept.hidden_states)
    np.testing.assert_allclose(again.per_title, found.per_title, rtol=1e-4)
    np.testing.assert_allclose(found.per_token, found.per_title / found.tokens)
