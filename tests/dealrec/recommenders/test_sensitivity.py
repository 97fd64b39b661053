"""The instrument sees what a model has learned of users, and nothing that it has learned of titles."""

import string
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from dealrec.config import EvaluationConfig, FinetuneConfig, PromptConfig
from dealrec.recommenders.held_out import held_out_users
from dealrec.recommenders.registry import make_recommender
from tests.dealrec.language_models.tiny import tiny_loaded
from tests.dealrec.surrogates.data import ring_dataset

EVALUATION = EvaluationConfig(ranking_users=0, candidates=6)


@pytest.fixture(scope="module")
def asked():
    """Users who walk along a ring: the last item of the history says which one comes next."""
    dataset = ring_dataset(users=40, items=12)
    dataset = replace(dataset, titles=pa.array(list(string.ascii_lowercase[:12])))
    return dataset, held_out_users(dataset, PromptConfig(history_items=1), EVALUATION)


def _measured(asked, samples):
    """Train all parameters of a tiny model on ``samples``, and measure it on the users."""
    recommender = make_recommender(tiny_loaded(width=32), FinetuneConfig())
    dataset, users = asked
    examination = recommender.examination(dataset, users, EVALUATION)
    model = recommender.loaded.model.requires_grad_(requires_grad=True)
    objective = recommender.objective(samples)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.015)
    for _ in range(45 if samples else 0):
        optimizer.zero_grad()
        loss = objective.loss_sum(range(len(samples))) / sum(objective.targets)
        loss.backward()
        optimizer.step()
    return examination.measure()


def test_a_model_that_was_trained_on_the_very_users_has_preference_and_an_untrained_one_none(asked):
    _, users = asked
    untrained, trained = _measured(asked, []), _measured(asked, users.prompts)
    assert abs(untrained.means["preference"]) < 0.1
    assert trained.means["preference"] > 0.25
    assert trained.means["preference"] > 2 * trained.standard_errors["preference"]
    assert trained.means["auc_adj"] > 0.7
    assert trained.means["gain"] > 1


def test_a_model_that_was_trained_with_exchanged_histories_knows_titles_alone(asked):
    _, users = asked
    order = np.random.default_rng(0).permutation(len(users.prompts)).tolist()
    exchanged = [
        replace(sample, history=users.prompts[other].input)
        for sample, other in zip(users.prompts, order, strict=True)
    ]
    untrained, found = _measured(asked, []), _measured(asked, exchanged)
    assert found.means["nll"] < untrained.means["nll"] / 5
    assert found.means["preference"] < 0.1
    assert found.means["auc_adj"] == pytest.approx(0.5, abs=0.12)
