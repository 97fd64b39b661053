"""Losses with and without the history, against the model itself, one sample at a time."""

import numpy as np
import pytest
import torch

from dealrec.config import IfdConfig, PromptConfig
from dealrec.config.runtime import Runtime
from dealrec.data.prompter import Prompter
from dealrec.data.samples import build_samples
from dealrec.difficulty.following import score_following
from dealrec.difficulty.scores import FollowingScores
from dealrec.language_models.loading import load_language_model
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model
from tests.dealrec.surrogates.data import ring_dataset

RUNTIME = Runtime(threads=1, device="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_model().save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return str(folder)


def _mean_loss(loaded, prompt, answer):
    tokens = [
        loaded.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, answer)
    ]
    ids = torch.tensor([[*tokens[0], *tokens[1], loaded.tokenizer.eos_token_id]])
    with torch.no_grad():
        logits = loaded.model(ids).logits[0, len(tokens[0]) - 1 : -1]
    return torch.nn.functional.cross_entropy(logits, ids[0, len(tokens[0]) :]).item()


def test_the_losses_are_those_of_the_title_after_the_history_and_after_the_instruction(folder):
    dataset = ring_dataset(users=12)
    samples = build_samples(dataset)
    config = IfdConfig(model=folder, batch_tokens=1024)
    found = score_following(dataset, samples, PromptConfig(), config, runtime=RUNTIME)
    loaded = load_language_model(folder, dtype="float32", device="cpu")
    prompter = Prompter(dataset, samples, PromptConfig())
    for index in range(len(samples)):
        sample = prompter.prompt(index)
        prompt, answer = sample.prompt, sample.completion
        bare = f"{sample.instruction}\nNext:"
        expected = [_mean_loss(loaded, text, answer) for text in (prompt, bare)]
        both = [found.with_history[index], found.without_history[index]]
        np.testing.assert_allclose(both, expected, rtol=1e-4)
        assert found.ifd[index] == pytest.approx(expected[0] / expected[1], rel=1e-3)


def test_the_loss_without_a_history_is_measured_once_a_target(folder):
    dataset = ring_dataset(users=40, items=6)
    samples = build_samples(dataset)
    config = IfdConfig(model=folder)
    found = score_following(dataset, samples, PromptConfig(), config, runtime=RUNTIME)
    assert found.diagnostics["targets"] == len(set(samples.targets.tolist())) < len(samples)
    for target in set(samples.targets.tolist()):
        assert len(set(found.without_history[samples.targets == target].tolist())) == 1


def test_saved_losses_load_as_they_were(tmp_path):
    FollowingScores(np.array([1.0, 2.0, 5.0]), np.array([2.0, 1.0, 0.0]), {"a": 1}).save(tmp_path)
    loaded = FollowingScores.load(tmp_path)
    assert loaded.ifd.tolist() == [0.5, 2.0, 1.0]
    assert loaded.diagnostics == {"a": 1}
