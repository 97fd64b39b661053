"""The trainings that show the headroom are those of the comparison, in another process or not."""

from typing import Any

import numpy as np
import pytest

from dealrec.comparison.gate import measure_headroom, stopped_report
from dealrec.comparison.preparing import Place
from dealrec.comparison.running import compare
from dealrec.comparison.runs import select_runs
from dealrec.comparison.training import RunTrainer
from dealrec.config import ComparisonConfig
from dealrec.config.compared import ALL_DATA
from dealrec.data.ingest import ingest
from dealrec.data.samples import build_samples
from dealrec.data.synthetic import write_sample_data
from dealrec.recommenders.encoder import EncoderRecommender
from dealrec.selection.interface import Scores
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model

TRAINED: dict[str, dict[str, Any]] = {
    "states are carried": {"recommender": "encoder", "lora": {"last_layers": 0}, "batch_size": 16},
    "states are made again": {"lora": {"last_layers": 1}},
}


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_sample_data(folder, users=40, items=20)
    tiny_model().save_pretrained(folder / "model")
    byte_tokenizer().save_pretrained(folder / "model")
    files = {"items": folder / "items.csv", "out": folder / "dataset"}
    dataset = ingest(folder / "interactions.csv", **files).dataset
    return folder / "model", dataset, build_samples(dataset)


def configured(model, finetune, **fields):
    body = {
        "curve": [4],
        "seeds": 2,
        "full_data_runs": 1,
        "despite_no_headroom": True,
        "config": {
            "prompt": {"history_items": 2},
            "finetune": {"model": str(model), "learning_rate": 0.01, **finetune},
            "evaluation": {"users": 8, "candidates": 3, "ranking_users": 0},
        },
        **fields,
    }
    asked = ComparisonConfig.parse(body, location="")
    return asked.resolved(has_validation=True, has_test=True)


def compared(problem, config, place):
    _, dataset, samples = problem
    keys, curve = samples.keys(dataset), config.resolved_curve(len(samples))
    selected = select_runs(
        keys.to_pylist(),
        lambda _run: Scores(keys, np.zeros(len(keys)), None),
        config,
        budgets=(),
        curve=curve,
    )
    return compare(
        dataset, samples, selected, config, place, budgets=(), curve=curve, seconds=[{}, {}]
    )


@pytest.mark.parametrize("finetune", TRAINED.values(), ids=TRAINED)
def test_the_comparison_uses_what_the_headroom_was_measured_by(
    problem, tmp_path, monkeypatch, finetune
):
    model, dataset, samples = problem
    config = configured(model, finetune)
    at_once = compared(problem, config, Place(tmp_path / "at once"))
    found = measure_headroom(dataset, samples, config, Place(tmp_path / "headroom"))
    trained, read = [], []
    train, states = RunTrainer.train, EncoderRecommender._read

    def seen(self, run, on_part=lambda: None):
        trained.append(run.selector)
        return train(self, run, on_part)

    monkeypatch.setattr(RunTrainer, "train", seen)

    def reading(self, texts):
        read.append(len(texts))
        return states(self, texts)

    monkeypatch.setattr(EncoderRecommender, "_read", reading)
    place = Place(tmp_path / "out", headroom=tmp_path / "headroom")
    after = compared(problem, config, place)
    assert trained == ["random", "random"]
    assert read == []
    assert after.headroom == found
    assert [(run.selector, run.metrics) for run in after.runs] == [
        (run.selector, run.metrics) for run in at_once.runs
    ]
    assert after.curve == at_once.curve


def test_the_report_of_no_headroom_needs_no_model(problem, tmp_path, monkeypatch):
    model, dataset, samples = problem
    still = {"learning_rate": 1e-12, "lora": {"last_layers": 1}}
    config = configured(model, still, despite_no_headroom=False)
    at_once = compared(problem, config, Place(tmp_path / "at once"))
    assert at_once.stopped
    found = measure_headroom(dataset, samples, config, Place(tmp_path / "headroom"))
    assert not found.found

    def never(*_args, **_options):
        raise AssertionError("the language model was loaded")

    monkeypatch.setattr("dealrec.comparison.preparing.load_language_model", never)
    place = Place(tmp_path / "out", headroom=tmp_path / "headroom")
    report = stopped_report(dataset, samples, config, place, budgets=(), curve=(4,))
    assert report.stopped
    assert [run.selector for run in report.runs] == [ALL_DATA]
    assert report.verdict == at_once.verdict
    assert (report.model, report.data) == (at_once.model, at_once.data)
    assert report.headroom == at_once.headroom == found
    assert (tmp_path / "out" / "report.html").is_file()
    assert (tmp_path / "out" / "users.parquet").is_file()
