"""The selectors that look at times: ``recent``, ``recent_popular`` and ``window_popular``."""

from dataclasses import replace

import numpy as np
import pytest

from dealrec.config import ComparisonConfig, PruneConfig, SelectionConfig
from dealrec.config.stages.plan import DataShape, plan_comparison, plan_prune
from dealrec.errors import InputError
from dealrec.selection.recency import decayed
from dealrec.selection.select import select
from tests.dealrec.selection.inputs import DAY, whole_scores


def take(scores, budget, method, **options):
    return select(scores, budget, SelectionConfig(method=method, **options)).indices


def test_recent_draws_from_the_newest_window_and_from_nothing_else():
    scores = whole_scores(400)
    drawn = [take(scores, 20, "recent", window=0.1, seed=seed) for seed in range(40)]
    assert scores.times is not None
    window = np.flatnonzero(scores.times >= np.sort(scores.times)[-40])
    assert set(np.concatenate(drawn).tolist()) == set(window.tolist())


def test_a_window_is_never_smaller_than_the_budget():
    scores = whole_scores(400)
    assert scores.times is not None
    taken = take(scores, 100, "recent", window=0.001)
    assert scores.times[taken].min() >= np.sort(scores.times)[-100]


def test_of_samples_with_the_time_at_which_the_window_begins_any_may_be_drawn():
    scores = replace(whole_scores(50), times=np.repeat([9, 4], [5, 45]))
    drawn = np.concatenate([take(scores, 10, "recent", window=0.2, seed=s) for s in range(60)])
    assert len(set(drawn.tolist())) == 50


def test_a_target_that_was_bought_more_often_long_ago_gives_way_to_one_of_today():
    times = np.array([0] * 6 + [100, 100, 99]) * DAY
    targets = np.array([1] * 6 + [2, 2, 3], np.int32)
    scores = replace(whole_scores(9), times=times, targets=targets)
    for half_life, expected in ((10, [2, 3]), (10_000, [1, 2])):
        taken = take(scores, 2, "recent_popular", half_life=half_life)
        assert sorted(targets[taken].tolist()) == expected
    assert targets[take(scores, 3, "recent_popular", half_life=10, per_target=2)].tolist() == [
        2,
        2,
        3,
    ]


@pytest.mark.parametrize("unit", [1, 1000, 10**6, 10**9])
def test_a_half_life_in_days_counts_in_the_unit_of_the_timestamps(unit):
    times = (1_600_000_000 + np.array([0, 20, 30]) * DAY) * unit
    scores = replace(whole_scores(3), times=times, day=float(DAY * unit))
    np.testing.assert_allclose(decayed(scores, 10.0), [1 / 8, 1 / 2, 1], rtol=1e-6)


def test_numbers_that_are_no_dates_decay_in_their_own_unit():
    scores = replace(whole_scores(3), times=np.array([1990, 2000, 2010]), day=None)
    assert decayed(scores, 10.0).tolist() == [0.25, 0.5, 1]


def test_without_a_half_life_the_newest_tenth_weighs_at_least_half():
    scores = whole_scores(500)
    assert scores.times is not None
    weights = decayed(scores, None)
    assert 50 <= (weights >= 0.5).sum() <= 60
    assert decayed(replace(scores, times=np.full(500, 7)), None).tolist() == [1.0] * 500


@pytest.mark.parametrize("per_target", [1, 2])
def test_window_popular_takes_the_newest_samples_of_what_is_frequent_in_the_window(per_target):
    scores = whole_scores(600)
    assert scores.times is not None and scores.targets is not None
    taken = take(scores, 30, "window_popular", window=0.5, per_target=per_target)
    inside = scores.times >= np.sort(scores.times)[-300]
    assert inside[taken].all()
    counts = np.bincount(scores.targets[inside])
    given = np.bincount(scores.targets[taken], minlength=len(counts))
    assert given.max() == per_target
    assert counts[given > 0].min() >= counts[given == 0].max()
    for target in np.flatnonzero(given == per_target):
        own = scores.times[inside & (scores.targets == target)]
        chosen = scores.times[taken[scores.targets[taken] == target]]
        assert sorted(chosen) == sorted(own)[-per_target:]


@pytest.mark.parametrize("method", ["recent", "recent_popular", "window_popular"])
def test_without_times_they_are_refused_with_what_helps(method):
    scores = replace(whole_scores(20), times=None, day=None)
    with pytest.raises(InputError, match=r"needs times.*`timestamp` column"):
        take(scores, 5, method)


@pytest.mark.parametrize("has_times", [True, False])
def test_jobs_on_data_without_times_are_refused_before_anything_runs(has_times):
    shape = DataShape("0" * 64, {"valid": 9, "valid_users": 9, "items": 9}, {"5": 99}, has_times)
    one = PruneConfig.parse({"selection": {"method": "recent"}})
    many = ComparisonConfig.parse({"budgets": [9], "selectors": ["random", "recent_popular"]})
    for plan in (lambda: plan_prune(one, 9, shape), lambda: plan_comparison(many, shape)):
        if has_times:
            assert plan().stages
            continue
        with pytest.raises(InputError, match="needs timestamps") as caught:
            plan()
        assert caught.value.code == "no_timestamps"
