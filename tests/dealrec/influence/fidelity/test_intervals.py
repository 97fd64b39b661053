import numpy as np
import pytest
from numpy.testing import assert_allclose

from dealrec.influence.fidelity.intervals import Correlations, Interval, draw_means
from dealrec.metrics.correlation import spearman

GENERATOR = np.random.default_rng(0)


def test_each_query_has_its_rank_correlation_ties_included():
    a, b = GENERATOR.integers(0, 4, (20, 8)).astype(float), GENERATOR.normal(size=(20, 8))
    found = Correlations(a, b).each(np.ones(8))
    assert_allclose(found, [spearman(x, y) or 0.0 for x, y in zip(a, b, strict=True)], atol=1e-12)


def test_a_half_drawn_twice_counts_like_two_equal_halves():
    a, b = GENERATOR.normal(size=(5, 6)), GENERATOR.normal(size=(5, 6))
    times = np.array([2.0, 1, 0, 3, 0, 1])
    repeated = np.repeat(np.arange(6), times.astype(int))
    expected = [spearman(x[repeated], y[repeated]) for x, y in zip(a, b, strict=True)]
    assert_allclose(Correlations(a, b).each(times), np.array(expected, float), atol=1e-12)


def test_what_says_nothing_of_a_query_scores_zero():
    b = GENERATOR.normal(size=(3, 6))
    assert_allclose(Correlations(np.zeros((3, 6)), b).each(np.ones(6)), 0.0)


def test_the_interval_of_noise_covers_zero_about_as_often_as_it_says():
    covered = 0
    for seed in range(60):
        generator = np.random.default_rng(seed)
        pair = Correlations(generator.normal(size=(40, 12)), generator.normal(size=(40, 12)))
        interval = Interval.of(pair.mean(), draw_means([pair], seed, draws=200)[:, 0])
        covered += interval.low <= 0 <= interval.high
    assert 51 <= covered <= 60


def test_two_predictors_are_compared_over_the_same_draws():
    truth = GENERATOR.normal(size=(40, 12))
    good = Correlations(truth + 0.5 * GENERATOR.normal(size=truth.shape), truth)
    draws = draw_means([good, good], seed=0, draws=50)
    assert_allclose(draws[:, 0], draws[:, 1])
    assert good.mean() == pytest.approx(draws[:, 0].mean(), abs=0.2)
