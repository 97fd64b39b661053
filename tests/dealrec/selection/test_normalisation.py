"""Scores brought to [0, 1]: what holds for every set of finite numbers."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.interface import Scores
from dealrec.selection.normalisation import normalise, overall_score

TINY, HUGE = 5e-324, 1.7e308
finite = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [0.0, TINY, -TINY, HUGE, -HUGE]
)
value_sets = st.lists(finite, min_size=1, max_size=40).map(np.array)
methods = st.sampled_from(Normalisation)


@settings(deadline=None, max_examples=500)
@given(value_sets, methods)
def test_the_least_becomes_0_and_the_greatest_1_in_minmax_and_all_lie_between(values, method):
    normal = normalise(values, method)
    assert np.all((normal >= 0) & (normal <= 1))
    if method is Normalisation.MINMAX and values.min() < values.max():
        assert normal[values.argmin()] == 0
        assert normal[values.argmax()] == 1


@settings(deadline=None, max_examples=500)
@given(value_sets, methods)
def test_the_order_is_kept_and_equal_scores_stay_equal(values, method):
    normal = normalise(values, method)
    ascending = np.argsort(values)
    assert np.all(np.diff(normal[ascending]) >= 0)
    for value in values:
        assert len(set(normal[values == value])) == 1


@settings(deadline=None)
@given(value_sets)
def test_rank_keeps_every_difference_and_depends_on_the_order_alone(values):
    normal = normalise(values, Normalisation.RANK)
    assert len(set(normal)) == len(set(values))
    _, places = np.unique(values, return_inverse=True)
    assert np.array_equal(normal, normalise(places.astype(float), Normalisation.RANK))


@settings(deadline=None)
@given(
    st.lists(st.integers(-(2**20), 2**20), min_size=2, max_size=40).map(
        lambda x: np.array(x, float)
    ),
    st.sampled_from([0.5, 1.0, 2.0**10]),
    st.integers(-(2**20), 2**20),
)
def test_minmax_does_not_know_scale_and_shift(values, scale, shift):
    moved = normalise(scale * values + shift, Normalisation.MINMAX)
    assert np.array_equal(moved, normalise(values, Normalisation.MINMAX))


def test_rank_gives_equal_scores_the_mean_of_their_places():
    normal = normalise(np.array([5.0, 1.0, 5.0, 9.0, 5.0]), Normalisation.RANK)
    assert normal.tolist() == [0.5, 0.0, 0.5, 1.0, 0.5]


@pytest.mark.parametrize("method", Normalisation)
@pytest.mark.parametrize("value", [0.0, -3.5, HUGE, TINY])
def test_constant_scores_become_zeros(method, value):
    assert normalise(np.full(7, value), method).tolist() == [0.0] * 7


@pytest.mark.parametrize("values", [[0.0, TINY], [-HUGE, HUGE], [-HUGE, 0.0, HUGE]])
def test_minmax_works_at_the_ends_of_the_number_range(values):
    normal = normalise(np.array(values), Normalisation.MINMAX)
    assert normal[0] == 0
    assert normal[-1] == 1


def test_the_overall_score_is_influence_plus_weighted_effort():
    scores = Scores(
        pa.array(["a", "b", "c"]), np.array([0.0, 5.0, 10.0]), np.array([4.0, 2.0, 3.0])
    )
    overall = overall_score(scores, SelectionConfig(method="dealrec", effort_weight=0.5))
    assert overall.tolist() == [0.5, 0.5, 1.25]


def test_effort_without_weight_changes_nothing():
    influence = np.array([0.0, 5.0, 10.0])
    with_effort = Scores(pa.array(["a", "b", "c"]), influence, np.array([4.0, 2.0, 3.0]))
    without = Scores(pa.array(["a", "b", "c"]), influence, None)
    config = SelectionConfig(method="dealrec", effort_weight=0)
    assert np.array_equal(overall_score(with_effort, config), overall_score(without, config))
