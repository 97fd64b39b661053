"""Promises that every recommender keeps, the listed ones and one that is added."""

import numpy as np
import pytest
import torch

from dealrec.config import EvaluationConfig, PromptConfig
from dealrec.config.finetune import FinetuneConfig, LoraSettings
from dealrec.data.ingest import ingest
from dealrec.data.prompts import Prompter
from dealrec.data.samples import build_samples
from dealrec.data.synthetic import write_sample_data
from dealrec.finetune.adapter import detach_lora
from dealrec.finetune.training import LoraTraining, finetune
from dealrec.language_models.loading import load_language_model
from dealrec.pipeline import compare
from dealrec.recommenders import registry
from dealrec.recommenders.evaluation import evaluate_adapter
from dealrec.recommenders.held_out import held_out_users
from dealrec.recommenders.interface import Recommender
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model

OWN = "tests.dealrec.recommenders.own_encoder:Encoder"
EVALUATION = EvaluationConfig(users=12, ranking_users=6, beams=1, max_title_tokens=4)
PROMPT = PromptConfig()


@pytest.fixture(params=[*registry.RECOMMENDERS.values(), OWN])
def recommender_path(request, monkeypatch):
    monkeypatch.setitem(registry.RECOMMENDERS, registry.BIGREC, request.param)
    return request.param


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_sample_data(folder, users=60, items=30)
    tiny_model().save_pretrained(folder / "model")
    byte_tokenizer().save_pretrained(folder / "model")
    return folder


@pytest.fixture(scope="module")
def dataset(data):
    interactions, items = data / "interactions.csv", data / "items.csv"
    return ingest(interactions, items=items, out=data / "dataset").dataset


@pytest.fixture(scope="module")
def samples(dataset):
    prompter = Prompter(dataset, build_samples(dataset), PROMPT)
    return [prompter.prompt(index) for index in range(24)]


def _config(data, **changes):
    settings = {"epochs": 4, "learning_rate": 0.01, "lora": LoraSettings(last_layers=1)}
    return FinetuneConfig(model=str(data / "model"), **{**settings, **changes})


def _loaded(data):
    return load_language_model(str(data / "model"), dtype="float32", device=torch.device("cpu"))


@pytest.mark.parametrize("name", registry.RECOMMENDERS)
def test_every_listed_recommender_can_be_imported(name):
    assert issubclass(registry.recommender_class(name), Recommender)


def test_each_adapter_starts_from_the_model_as_it_was(data, dataset, samples, recommender_path):
    config = _config(data)
    recommender = registry.make_recommender(_loaded(data), config)
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
        detach_lora(training.model)
    after = examination.measure()
    for name, values in before.users.items():
        np.testing.assert_array_equal(after.users[name], values)
        np.testing.assert_array_equal(trained[0].users[name], trained[1].users[name])
        assert len(values) == (6 if name.startswith(("recall", "ndcg")) else 12)
    assert trained[0].means["nll"] < before.means["nll"]


def test_kept_states_change_no_figure(data, dataset, samples, recommender_path, tmp_path):
    users = held_out_users(dataset, PROMPT, EVALUATION)
    found = []
    for trunk in (None, tmp_path):
        recommender = registry.make_recommender(_loaded(data), _config(data), trunk)
        examination = recommender.examination(dataset, users, EVALUATION)
        recommender.keep([*recommender.encode(samples), *examination.texts])
        training = LoraTraining(recommender, samples, _config(data, epochs=1))
        while not training.finished:
            training.advance()
        found.append(examination.measure(training.model).means["nll"])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_a_saved_adapter_is_measured_beside_the_model_without_it(
    data, dataset, samples, recommender_path, tmp_path
):
    finetune(samples, _config(data), out=tmp_path / "adapter")
    found = evaluate_adapter(dataset, tmp_path / "adapter", PROMPT, _config(data), EVALUATION)
    assert found.metrics["nll"] < found.untrained["nll"]
    assert found.metrics.keys() == found.standard_errors.keys() == found.untrained.keys()


def test_an_added_recommender_is_compared_as_any_other(data, monkeypatch, tmp_path):
    monkeypatch.setitem(registry.RECOMMENDERS, registry.BIGREC, OWN)
    config = {
        "surrogate": {"epochs": 1, "hidden_size": 8},
        "effort": None,
        "finetune": _config(data).model_dump(),
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
