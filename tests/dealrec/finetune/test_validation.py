"""Validation while training: what is measured, when it stops, what is kept, and how it resumes."""

import math

import pytest
import torch
from safetensors.torch import load_file

from dealrec.config.finetune import FinetuneConfig, LoraSettings, ValidationSettings, Which
from dealrec.errors import Cancelled
from dealrec.finetune.training import finetune
from dealrec.language_models import load_language_model
from dealrec.language_models.adapters import WEIGHTS, attach_adapter
from dealrec.progress import Silent
from dealrec.recommenders.registry import make_recommender
from dealrec.stages.finetune import chosen_places
from tests.dealrec.language_models.tiny import tiny_samples

TRAINED, HELD_OUT = tiny_samples(12), tiny_samples(6, seed=9)


class Watched(Silent):
    """Keeps curves and events, and cancels at the ``stop``-th report of progress."""

    def __init__(self, stop=math.inf):
        self.curves, self.events, self.left = {}, [], stop

    def progress(self, done, total, unit):
        self.left -= 1
        if self.left < 0:
            raise Cancelled("stop")

    def point(self, name, step, value):
        kept = [point for point in self.curves.get(name, []) if point[0] < step]
        self.curves[name] = [*kept, (step, value)]

    def event(self, kind, **data):
        self.events.append((kind, data))


def _config(folder, **validation):
    """The learning rate is so high that the loss rises after a few steps."""
    return FinetuneConfig(
        model=str(folder),
        epochs=6,
        batch_size=4,
        learning_rate=0.5,
        checkpoint_steps=2,
        lora=LoraSettings(dropout=0.1),
        validation=ValidationSettings(**{"samples": 6, "every_steps": 1, **validation}),
    )


def _trained(config, out, **options):
    watched = options.pop("reporter", Watched())
    metrics = finetune(
        TRAINED, config, out=out, held_out=HELD_OUT, reporter=watched, **options
    ).metrics
    return metrics, load_file(out / WEIGHTS), watched


def _same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def stopped(model_folder, tmp_path_factory):
    """A training that stops early."""
    return _trained(_config(model_folder, patience=3), tmp_path_factory.mktemp("stopped") / "out")


def test_the_loss_is_that_of_the_kept_adapter_on_the_held_out_samples(
    model_folder, tmp_path, stopped
):
    metrics, weights, watched = stopped
    measured = dict(watched.curves["valid_loss"])
    assert metrics["valid_loss"] == min(measured.values()) == measured[int(metrics["best_step"])]
    assert metrics["valid_samples"] == 6
    config = _config(model_folder)
    loaded = load_language_model(str(model_folder), dtype="float32", device="cpu")
    recommender = make_recommender(loaded, config)
    finetune(TRAINED, config, out=tmp_path / "a", held_out=HELD_OUT)
    attach_adapter(loaded, tmp_path / "a")
    objective = recommender.objective(HELD_OUT)
    loss = sum(objective.loss_sum([place]).item() for place in range(6)) / sum(objective.targets)
    assert loss == pytest.approx(metrics["valid_loss"], rel=1e-5)
    assert _same(
        weights, load_file(tmp_path / "a" / WEIGHTS)
    )  # patience changes nothing that is kept


def test_it_stops_after_as_many_measurements_without_a_better_one(stopped):
    metrics, _, watched = stopped
    assert metrics["steps"] == metrics["best_step"] + 3 < 18
    assert [step for step, _ in watched.curves["valid_loss"]] == [
        *range(1, int(metrics["steps"]) + 1)
    ]
    told = {"step": metrics["steps"], "best_step": metrics["best_step"]}
    assert ("early_stopping", told) in watched.events


def test_a_training_that_was_killed_again_and_again_ends_with_the_same_adapter_and_curves(
    model_folder, tmp_path, stopped
):
    metrics, weights, watched = stopped
    config, stops = _config(model_folder, patience=3), 0
    while True:
        assert stops < 20
        reporter = Watched(stop=5)
        try:
            found = _trained(
                config, tmp_path / "a", checkpoint_dir=tmp_path / "kept", reporter=reporter
            )
            break
        except Cancelled:
            stops += 1
    assert stops >= 2
    assert _same(found[1], weights)
    assert found[2].curves == watched.curves
    assert {**found[0], "seconds": 0} == {**metrics, "seconds": 0}


def test_the_last_adapter_is_kept_where_that_is_asked_for(model_folder, tmp_path, stopped):
    metrics, _, watched = _trained(
        _config(model_folder, every_steps=None, keep_best=False), tmp_path / "a"
    )
    assert [step for step, _ in watched.curves["valid_loss"]] == [3, 6, 9, 12, 15, 18]
    assert metrics["valid_loss"] == watched.curves["valid_loss"][-1][1] > stopped[0]["valid_loss"]
    plain = FinetuneConfig.model_validate(_config(model_folder).model_dump(exclude={"validation"}))
    finetune(TRAINED, plain, out=tmp_path / "b")
    assert _same(
        *(load_file(tmp_path / name / WEIGHTS) for name in "ab")
    )  # measuring changes nothing


def test_held_out_samples_are_spread_or_drawn():
    spread = ValidationSettings(samples=4)
    drawn = ValidationSettings(samples=4, which=Which.DRAWN)
    assert chosen_places(8, spread, 0).tolist() == [0, 2, 4, 6]
    assert chosen_places(3, drawn, 0).tolist() == [0, 1, 2]
    draws = [chosen_places(100, drawn, seed).tolist() for seed in (0, 0, 1)]
    assert draws[0] == draws[1] == sorted(set(draws[0])) != draws[2]
