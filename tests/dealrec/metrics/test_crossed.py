"""Intervals over users and runs."""

import math

import numpy as np
import pytest

from dealrec.config.comparison import VERDICT_RUNS
from dealrec.metrics.crossed import (
    Spread,
    detectable,
    estimate,
    holm,
    over_users,
    paired,
    rejections,
    spread,
)

USERS, SEED, OWN, NOISE = 300, 0.30, 0.06, 1.3
"""Users, and the spreads of the shared seed, of a selector's own runs, and of a user in a run."""


def two_selectors(draw, runs, *, effect=0.0, users=USERS, seed=SEED):
    """Runs of two selectors: run ``r`` of both has the same effect of its seed."""
    shared = draw.normal(0, 2.0, users) + draw.normal(0, seed, (runs, 1))
    return [
        shared + shift + draw.normal(0, OWN, (runs, 1)) + draw.normal(0, NOISE, (runs, users))
        for shift in (effect, 0.0)
    ]


MEASURED = {"preference": Spread(0.0955, 0.0252, 0.2134), "nll": Spread(0.4493, 0.0464, 0.6065)}
"""Of paired differences in a comparison: ``benchmarks/RESULTS.md``."""


@pytest.mark.parametrize("runs", [3, 5, 8])
@pytest.mark.parametrize("metric", MEASURED)
def test_level_selectors_are_told_apart_about_one_time_in_twenty(metric, runs):
    assert 0.03 <= rejections(MEASURED[metric], runs, USERS, trials=100_000) <= 0.07


def test_two_runs_err_more_often_so_nothing_is_said_of_them():
    assert 0.07 < rejections(MEASURED["preference"], 2, USERS) < 0.11
    assert VERDICT_RUNS > 2


def test_the_simulation_of_sums_is_that_of_whole_figures():
    draw = np.random.default_rng(3)
    found = [paired(*two_selectors(draw, 4, effect=0.15)) for _ in range(400)]
    drawn = np.mean([one.shown for one in found])
    of_differences = Spread(0.0, OWN * math.sqrt(2), NOISE * math.sqrt(2))
    assert rejections(of_differences, 4, USERS, difference=0.15) == pytest.approx(drawn, abs=0.08)


def test_what_a_shared_seed_does_to_both_leaves_the_difference():
    first, second = two_selectors(np.random.default_rng(0), 5, effect=0.5)
    seeds = np.random.default_rng(1).normal(0, 9, (5, 1))
    as_they_are, moved = paired(first, second), paired(first + seeds, second + seeds)
    assert (moved.mean, moved.low, moved.p_value) == pytest.approx(
        (as_they_are.mean, as_they_are.low, as_they_are.p_value)
    )
    assert as_they_are.shown
    shuffled = paired(first + seeds, (second + seeds)[[1, 2, 3, 4, 0]])
    assert not shuffled.shown  # the runs are no pairs any more


def test_noise_counts_once():
    draw = np.random.default_rng(1)
    runs, users = 12, 400
    errors = [paired(*two_selectors(draw, runs, users=users)).error for _ in range(40)]
    true = math.sqrt(2 * (OWN**2 / runs + NOISE**2 / (runs * users)))
    assert np.mean(errors) == pytest.approx(true, rel=0.1)


def test_pooling_users_and_runs_would_call_chance_a_difference():
    draw = np.random.default_rng(0)
    pooled = crossed = 0
    for _ in range(200):
        first, second = two_selectors(draw, 3, users=200, seed=0.0)
        first, second = first + draw.normal(0, 0.3, (3, 1)), second + draw.normal(0, 0.3, (3, 1))
        error = np.sqrt((first - second).var() / first.size)
        pooled += abs(first.mean() - second.mean()) > 1.96 * error
        crossed += paired(first, second).shown
    assert pooled > 80
    assert crossed < 25


def test_a_spread_is_what_the_figures_were_made_with():
    draw = np.random.default_rng(2)
    figures = draw.normal(0, 2, 500) + draw.normal(0, 0.7, (40, 1)) + draw.normal(0, 1, (40, 500))
    assert spread(figures) == pytest.approx((2, 0.7, 1), rel=0.2)


def test_a_difference_is_level_where_more_is_ruled_out():
    first, second = two_selectors(np.random.default_rng(4), 8, seed=0.0)
    found = paired(first, second)
    assert found.outside(1.0) < 0.01
    assert found.outside(abs(found.mean)) == pytest.approx(0.5)
    assert found.outside(0.001) > 0.05
    same = paired(first, first)
    assert (same.outside(0.1), same.p_value) == (0.0, 1.0)


@pytest.mark.parametrize("runs", [5, 8])
def test_a_detectable_difference_is_shown_four_times_out_of_five(runs):
    of_differences = Spread(0.4, 0.05, 1.5)
    found = detectable(of_differences, runs, 300)
    share = rejections(of_differences, runs, 300, difference=found)
    assert 0.7 < share < 0.87
    assert detectable(of_differences, 2 * runs, 300) < found


def test_one_run_has_an_interval_over_its_users_alone():
    figures = np.random.default_rng(5).normal(3, 1, (1, 100))
    found = estimate(figures)
    assert found.low < found.mean < found.high
    assert found.high - found.mean == pytest.approx(1.98 * figures.std(ddof=1) / 10, rel=0.01)
    assert over_users(figures[0], np.zeros(100)).low == pytest.approx(found.low)
    with pytest.raises(ValueError, match="two runs"):
        paired(figures, figures)
    with pytest.raises(ValueError, match="different runs"):
        paired(np.zeros((2, 10)), np.zeros((3, 10)))


def test_holm_multiplies_the_smallest_by_their_number_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
