"""Embeddings against the models themselves, one sample at a time."""

import numpy as np
import pytest
import torch

from dealrec.config import EmbeddingConfig, PromptConfig, SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.data.prompter import Prompter
from dealrec.data.samples import build_samples, validation_samples
from dealrec.embedding.making import embed
from dealrec.language_models.batch_plan import plan_samples
from dealrec.language_models.loading import load_language_model
from dealrec.language_models.tokens import Encoder
from dealrec.surrogates.ensemble import train_ensemble
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model
from tests.dealrec.surrogates.data import ring_dataset

RUNTIME = Runtime(threads=1, device="cpu")


@pytest.mark.parametrize("name", ["sasrec", "bert4rec"])
def test_the_surrogates_vector_is_its_state_after_the_target(name):
    dataset = ring_dataset(users=25, items=12)
    config = SurrogateConfig(model=name, hidden_size=8, epochs=1, negatives=10, max_length=5)
    ensemble = train_ensemble(dataset, config, runtime=RUNTIME)
    samples, validation = build_samples(dataset), validation_samples(dataset, 10)
    made = embed(
        dataset,
        samples,
        PromptConfig(),
        EmbeddingConfig(validation_samples=10),
        ensemble,
        runtime=RUNTIME,
    )
    model = ensemble.members[0].model
    for of, found in ((samples, made.vectors.samples), (validation, made.vectors.validation)):
        assert of is not None and found is not None
        assert found.shape == (len(of), 8)
        for index in range(len(of)):
            items = [*of.history(index), of.targets[index]][-5:]
            with torch.no_grad():
                state = model(torch.tensor([items]).long())[0, -1]
            np.testing.assert_allclose(found[index], state.numpy(), rtol=1e-4, atol=1e-5)


def test_the_language_models_vector_is_the_mean_state_after_the_instruction(tmp_path):
    tiny_model().save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    dataset = ring_dataset(users=15)
    samples, validation = build_samples(dataset), validation_samples(dataset, 6)
    config = EmbeddingConfig(
        source="language_model", model=str(tmp_path), batch_tokens=1024, validation_samples=6
    )
    made = embed(dataset, samples, PromptConfig(), config, None, runtime=RUNTIME)
    loaded = load_language_model(str(tmp_path), dtype="float32", device="cpu")
    shared = len(plan_samples(dataset, samples, PromptConfig(), config).prefix)
    assert shared > 20
    encoder = Encoder(loaded.tokenizer, 512)
    for of, found in ((samples, made.vectors.samples), (validation, made.vectors.validation)):
        assert of is not None and found is not None
        assert found.shape == (len(of), 16)
        prompter = Prompter(dataset, of, PromptConfig())
        for index in range(len(of)):
            (encoded,) = encoder.encode([prompter.prompt(index)])
            with torch.no_grad():
                states = loaded.model.model(torch.tensor([encoded.ids])).last_hidden_state[0]
            expected = states[shared:].mean(0).numpy()
            np.testing.assert_allclose(found[index], expected, rtol=1e-3, atol=1e-4)
