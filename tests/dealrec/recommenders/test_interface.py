"""Promises that every recommender keeps, the listed ones and one that is added."""

import numpy as np
import pytest
import torch

from dealrec.config import EvaluationConfig, PromptConfig
from dealrec.config.finetune import FinetuneConfig, LoraSettings
from dealrec.config.recommenders import RECOMMENDERS, RecommenderEntry
from dealrec.finetune.trainer import LoraTraining
from dealrec.finetune.training import finetune
from dealrec.language_models.loading import load_language_model
from dealrec.metrics.ranking import METRICS
from dealrec.pipeline import compare
from dealrec.recommenders import registry
from dealrec.recommenders.evaluation import evaluate_adapter
from dealrec.recommenders.held_out import held_out_users
from dealrec.recommenders.interface import Recommender

OWN = "tests.dealrec.recommenders.own_encoder:Encoder"
EVALUATION = EvaluationConfig(users=12, ranking_users=6, beams=1, max_title_tokens=4)
PROMPT = PromptConfig()


@pytest.fixture
def own(monkeypatch):
    entry = RecommenderEntry("own", "Another one.", "Our own", OWN, ())
    monkeypatch.setitem(RECOMMENDERS, "own", entry)


@pytest.fixture(params=[*RECOMMENDERS, "own"])
def name(request, own):
    return request.param


def _config(data, name, **changes):
    settings = {"epochs": 4, "learning_rate": 0.01, "lora": LoraSettings(last_layers=1)}
    model = str(data / "model")
    return FinetuneConfig(model=model, recommender=name, **{**settings, **changes})


def _loaded(data):
    return load_language_model(str(data / "model"), dtype="float32", device=torch.device("cpu"))


@pytest.mark.parametrize("listed", RECOMMENDERS)
def test_every_listed_recommender_can_be_imported(listed):
    assert issubclass(registry.recommender_class(listed), Recommender)


def test_each_adapter_starts_from_the_model_as_it_was(data, dataset, titles, samples, name):
    config = _config(data, name)
    recommender = registry.make_recommender(_loaded(data), config, titles=titles)
    users = held_out_users(dataset, PROMPT, EVALUATION)
    examination = recommender.examination(dataset, users, EVALUATION)
    before, trained = examination.measure(), []
    assert {"nll", "preference", "recall@10"} <= set(before.users)
    for _ in range(2):
        training = LoraTraining(recommender, samples, config)
        while not training.finished:
            training.advance()
        assert training.train_loss < training.losses[0]
        trained.append(examination.measure(training.model))
        training.detach()
    after = examination.measure()
    for metric, values in before.users.items():
        np.testing.assert_array_equal(after.users[metric], values)
        np.testing.assert_array_equal(trained[0].users[metric], trained[1].users[metric])
        assert len(values) == (6 if metric in METRICS else 12)
    assert trained[0].means["nll"] < before.means["nll"]


def test_kept_states_change_no_figure(data, dataset, titles, samples, name, tmp_path):
    users = held_out_users(dataset, PROMPT, EVALUATION)
    found = []
    for trunk in (None, tmp_path):
        config = _config(data, name, epochs=1)
        recommender = registry.make_recommender(_loaded(data), config, trunk, titles=titles)
        examination = recommender.examination(dataset, users, EVALUATION)
        recommender.keep([*recommender.encode(samples), *examination.texts])
        training = LoraTraining(recommender, samples, config)
        while not training.finished:
            training.advance()
        found.append(examination.measure(training.model).means["nll"])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_a_saved_adapter_is_measured_beside_the_model_without_it(
    data, dataset, titles, samples, name, tmp_path
):
    config = _config(data, name)
    finetune(samples, config, out=tmp_path / "adapter", titles=titles)
    found = evaluate_adapter(dataset, tmp_path / "adapter", PROMPT, config, EVALUATION)
    assert found.metrics["nll"] < found.untrained["nll"]
    assert found.metrics.keys() == found.standard_errors.keys() == found.untrained.keys()


@pytest.mark.parametrize("listed", ["own", "encoder"])
def test_an_added_recommender_is_compared_as_any_other(data, own, tmp_path, listed):
    config = {
        "prompt": {"history_items": 3},  # a byte is a token
        "surrogate": {"epochs": 1, "hidden_size": 8},
        "effort": None,
        "finetune": _config(data, listed).model_dump(),
        "evaluation": EVALUATION.model_dump(),
    }
    report = compare(
        data / "interactions.csv",
        items=data / "items.csv",
        config={"budgets": [12], "selectors": ["influence"], "seeds": 2, "config": config},
        out=tmp_path / "out",
    )
    assert all(row.metrics["nll"].mean != report.untrained["nll"] for row in report.table)
    assert all(run.train_loss < report.untrained["nll"] for run in report.runs)
    assert {"preference", "recall@10"} <= set(report.table[0].metrics)
    assert "nll_per_token" not in report.table[0].metrics
    assert (tmp_path / "out" / "report.html").is_file()
