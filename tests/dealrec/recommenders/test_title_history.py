"""Histories made of their titles, and the softmax over a batch, against plain computations."""

import json
import math
from collections import Counter

import numpy as np
import pydantic
import pytest
import torch
from torch import nn

from dealrec.config.finetune import FinetuneConfig
from dealrec.data.prompts import PromptedSample
from dealrec.errors import InputError
from dealrec.finetune.training import finetune
from dealrec.recommenders.evaluation import evaluate_adapter
from dealrec.recommenders.export import export_encoder
from dealrec.recommenders.held_out import held_out_users
from tests.dealrec.recommenders.conftest import PROMPT
from tests.dealrec.recommenders.test_encoder import (
    EVALUATION,
    LAYER,
    config,
    recommender_of,
    vectors_one_by_one,
)

OF_TITLES = {"history": "titles", "decay": 0.5, "pooling": "mean", "softmax": "batch"}


@pytest.fixture
def recommender(data, titles):
    return recommender_of(data, titles, config(data, encoder=OF_TITLES))


def plain_vector(recommender, sample):
    """The sum of the vectors of a sample's titles, each weighing half of the next, to length 1."""
    quoted = [f'"{title}"' for title in sample.history[1:-1].split('", "')]
    weight, bias = (parameter.detach() for parameter in recommender.head.parameters())
    vectors = vectors_one_by_one(recommender.loaded, quoted, weight, bias, "mean")
    total = sum(0.5**age * vector for age, vector in enumerate(reversed(vectors)))
    return nn.functional.normalize(total, dim=0)


def test_a_history_is_the_weighted_mean_of_its_titles(recommender, dataset):
    users = held_out_users(dataset, PROMPT, EVALUATION)
    examination = recommender.examination(dataset, users, EVALUATION)
    examination.measure()
    scores = torch.cat(list(examination.scores(None, lambda: None)))
    catalogue = recommender.title_vectors().detach()
    of_item = torch.from_numpy(users.titles.of_item.astype(np.int64))
    plain = torch.stack([plain_vector(recommender, prompt) for prompt in users.prompts])
    torch.testing.assert_close(scores, (plain @ catalogue.T / 0.2)[:, of_item], atol=1e-4, rtol=0)
    assert examination.texts == []


def test_a_softmax_over_a_batch_has_its_answers_as_often_as_they_come(recommender, samples):
    twice = [*samples[:5], samples[0], samples[0]]
    found = recommender.objective(twice).loss_sum(range(7)).item()
    labels = recommender.labels(twice)
    counts = Counter(labels)
    catalogue = recommender.title_vectors().detach()
    assert counts[labels[0]] >= 3
    plain = 0.0
    for sample, label in zip(twice, labels, strict=True):
        logits = catalogue @ plain_vector(recommender, sample) / 0.2
        others = sum(count * math.exp(logits[place]) for place, count in counts.items())
        plain -= math.log(counts[label] * math.exp(logits[label]) / others)
    assert found == pytest.approx(plain, rel=1e-4)


def test_an_adapter_of_titles_is_measured_and_exported_as_it_was_trained(
    data, dataset, titles, samples, tmp_path
):
    settings = config(data, encoder=OF_TITLES, epochs=20, batch_size=8)
    finetune(samples, settings, out=tmp_path / "adapter", titles=titles)
    found = evaluate_adapter(dataset, tmp_path / "adapter", PROMPT, settings, EVALUATION)
    assert found.metrics["nll"] != found.untrained["nll"]
    export_encoder(tmp_path / "adapter", out=tmp_path / "model", model=str(data / "model"))
    assert "0.5 ** np.arange(len(chosen))" in (tmp_path / "model" / "README.md").read_text()
    modules = json.loads((tmp_path / "model" / "1_Pooling" / "config.json").read_text())
    assert modules["pooling_mode_mean_tokens"]


def test_a_history_in_other_words_is_refused(recommender, titles):
    told = PromptedSample.plain("Name the next.", "They saw Alien and Dune.", titles.texts[0])
    with pytest.raises(InputError) as refusal:
        recommender.objective([told])
    assert refusal.value.code == "history_not_titles"
    stranger = PromptedSample.plain("Name the next.", '"no such title"', titles.texts[0])
    with pytest.raises(InputError) as refusal:
        recommender.objective([stranger])
    assert refusal.value.code == "unknown_title"


@pytest.mark.parametrize("option", [{"history": "titles"}, {"softmax": "batch"}])
def test_a_model_that_is_adapted_reads_prompts_and_draws(data, option):
    with pytest.raises(pydantic.ValidationError, match=r"set `lora.last_layers` to 0"):
        config(data, LAYER, encoder=option)
    FinetuneConfig(encoder=option)  # `bigrec` reads none of it
