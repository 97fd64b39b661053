"""Headroom, the best coreset, and histories exchanged between its samples."""

import hashlib

import numpy as np
import pytest

from dealrec.comparison.headroom import best_runs, exchanged, headroom, stops
from dealrec.comparison.results import PREFERENCE
from dealrec.comparison.runs import SelectedRun, TrainedRun, exchanged_run
from dealrec.comparison.training import exchange_histories
from dealrec.config import ComparisonConfig, FinetuneConfig
from dealrec.config.compared import ALL_DATA, EXCHANGED
from dealrec.data.prompts import PromptedSample
from dealrec.recommenders.interface import Measurement

DRAW = np.random.default_rng(0)
UNTRAINED = Measurement({PREFERENCE: DRAW.normal(0.1, 0.5, 200)}, 1.0)
CONFIG = ComparisonConfig.parse({"budgets": [8], "selectors": ["influence"]}, location="")


def trained(selector, mean, *, budget=8, number=0):
    selected = SelectedRun(
        selector,
        budget,
        number,
        selection_seed=number,
        finetune=FinetuneConfig(),
        indices=np.arange(budget),
        sha256=hashlib.sha256(f"{selector} {number}".encode()).hexdigest(),
        seconds=0.1,
    )
    figures = UNTRAINED.users[PREFERENCE] - 0.1 + mean + DRAW.normal(0, 0.05, 200)
    return TrainedRun(selected, Measurement({PREFERENCE: figures}, 1.0), 2.0, 4, 100, 1.0)


def group(selector, mean, **of):
    return [trained(selector, mean, number=number, **of) for number in range(3)]


def test_training_that_beats_the_model_as_it_is_shows_headroom():
    for runs in (1, 3):
        found = headroom(UNTRAINED, group(ALL_DATA, 0.3, budget=60)[:runs], None)
        assert found is not None
        assert found.found and (found.runs, found.samples) == (runs, 60)
        assert found.gain.mean == pytest.approx(0.2, abs=0.02)
        assert found.trained.mean > found.untrained.mean
    assert headroom(UNTRAINED, [], None) is None


def test_a_comparison_without_headroom_stops_before_any_selector():
    nothing, worse = group(ALL_DATA, 0.1, budget=60), group(ALL_DATA, 0.0, budget=60)
    despite = CONFIG.model_copy(update={"despite_no_headroom": True})
    for full in (nothing, worse):
        assert stops(CONFIG, UNTRAINED, full)
        assert not stops(despite, UNTRAINED, full)
    assert not stops(CONFIG, UNTRAINED, group(ALL_DATA, 0.3, budget=60))
    assert not stops(CONFIG, UNTRAINED, [])  # it was not asked


def test_the_surrogate_stands_beside_it():
    answer = {PREFERENCE: np.full(200, 0.4)}
    found = headroom(UNTRAINED, group(ALL_DATA, 0.3), answer)
    assert found is not None
    assert found.surrogate is not None
    assert found.surrogate.mean == pytest.approx(0.4)


def test_the_best_coreset_is_of_the_largest_budget():
    runs = [*group("a", 0.2), *group("b", 0.25), *group("c", 0.9, budget=4)]
    assert {run.selected.selector for run in best_runs(runs, PREFERENCE)} == {"b"}


def test_what_exchanging_histories_leaves_is_a_share_of_the_gain():
    best, full = group("b", 0.3), group(ALL_DATA, 0.9)
    selected = [exchanged_run(run.selected) for run in best]
    assert {run.selector for run in selected} == {EXCHANGED}
    assert [run.sha256 for run in selected] == [run.selected.sha256 for run in best]
    without = group(EXCHANGED, 0.15)
    found = exchanged(UNTRAINED, [*best, *group("a", 0.2), *full, *without])
    assert found is not None
    assert (found.selector, found.budget) == ("b", 8)
    assert found.loss.low > 0 and found.loss.mean == pytest.approx(0.15, abs=0.02)
    assert found.kept == pytest.approx(0.25, abs=0.1)
    assert exchanged(UNTRAINED, full) is None


def test_histories_are_exchanged_and_nothing_else():
    prompts = [PromptedSample.plain("Name it.", f"h{n}", f"t{n}") for n in range(9)]
    found = exchange_histories(prompts, 3)
    assert [one.output for one in found] == [one.output for one in prompts]
    assert sorted(one.input for one in found) == [one.input for one in prompts]
    assert all(one.input != was.input for one, was in zip(found, prompts, strict=True))
    assert exchange_histories(prompts, 3) == found != exchange_histories(prompts, 4)
