"""Intervals over users and runs."""

import numpy as np
import pytest

from dealrec.metrics.crossed import difference, holm, rejections_without_a_difference


def _runs(draw, runs, users, shift=0.0):
    return shift + draw.normal(0, 0.3, (runs, 1)) + draw.normal(0, 1, (runs, users))


@pytest.mark.parametrize(("runs", "run_spread"), [(3, 0.3), (3, 0.1), (8, 0.3)])
def test_random_against_random_is_told_apart_about_one_time_in_twenty(runs, run_spread):
    rate = rejections_without_a_difference(
        users=200, runs=runs, user_spread=2.0, run_spread=run_spread, noise=0.5
    )
    assert 0.02 < rate < 0.075


def test_pooling_users_and_runs_would_call_chance_a_difference():
    draw = np.random.default_rng(0)
    pooled = crossed = 0
    for _ in range(200):
        first, second = _runs(draw, 3, 200), _runs(draw, 3, 200)
        error = np.sqrt(first.var() / first.size + second.var() / second.size)
        pooled += abs(first.mean() - second.mean()) > 1.96 * error
        crossed += difference(first, second).shown
    assert pooled > 100
    assert crossed < 20


def test_the_closed_form_is_the_variance_of_the_drawn_bootstrap():
    draw = np.random.default_rng(1)
    first, second = _runs(draw, 12, 300, 0.2), _runs(draw, 12, 300)
    means = []
    for _ in range(4000):
        users = draw.integers(0, 300, 300)
        mine, others = draw.integers(0, 12, 12), draw.integers(0, 12, 12)
        means.append(first[mine][:, users].mean() - second[others][:, users].mean())
    found = difference(first, second)
    half = (found.high - found.low) / 2
    assert np.std(means) * 2.07 == pytest.approx(half, rel=0.12)
    assert found.mean == pytest.approx(first.mean() - second.mean())


def test_a_large_difference_is_shown_with_three_runs():
    draw = np.random.default_rng(2)
    found = difference(_runs(draw, 3, 200, shift=4.0), _runs(draw, 3, 200))
    assert found.shown
    assert found.low < 4.0 < found.high
    assert found.p_value < 0.01


def test_one_run_gives_no_interval():
    with pytest.raises(ValueError, match="two runs"):
        difference(np.zeros((1, 10)), np.zeros((3, 10)))


def test_holm_multiplies_the_smallest_by_their_number_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
