"""Cutting scores into strata, and sharing a budget among them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dealrec.config import StratumEdges
from dealrec.selection.strata import assign_strata, quotas, stratum_edges

values_in_range = st.lists(st.floats(0, 1001, allow_subnormal=True), min_size=1, max_size=60).map(
    np.array
)
counts = st.sampled_from([1, 2, 3, 7, 50, 1000])
methods = st.sampled_from(StratumEdges)
size_sets = st.lists(st.integers(0, 30), min_size=1, max_size=30).map(
    lambda sizes: np.array(sizes, dtype=np.int64)
)


def literal_quotas(sizes, budget):
    """The published loop over a shrinking list of strata, word for word."""
    left = {index: int(size) for index, size in enumerate(sizes) if size}
    given = np.zeros_like(sizes)
    while left:
        smallest = min(left, key=lambda index: (left[index], index))
        given[smallest] = min(left[smallest], budget // len(left))
        budget -= given[smallest]
        del left[smallest]
    return given


@settings(deadline=None, max_examples=500)
@given(values_in_range, counts, methods)
def test_edges_ascend_from_the_least_to_the_greatest_value(values, count, method):
    edges = stratum_edges(values, count, method)
    assert np.all(np.diff(edges) >= 0)
    assert edges[0] == values.min()
    assert edges[-1] == values.max()


@settings(deadline=None, max_examples=500)
@given(values_in_range, counts, methods)
def test_every_value_lies_in_exactly_the_stratum_it_is_given(values, count, method):
    edges = stratum_edges(values, count, method)
    stratum = assign_strata(values, edges)
    assert np.all((stratum >= 0) & (stratum <= len(edges) - 2))
    assert np.all((edges[stratum] <= values) & (values <= edges[stratum + 1]))
    inner = stratum < len(edges) - 2
    assert np.all(values[inner] < edges[stratum[inner] + 1])


@settings(deadline=None)
@given(values_in_range, counts, methods)
def test_a_higher_score_is_never_in_a_lower_stratum(values, count, method):
    stratum = assign_strata(values, stratum_edges(values, count, method))
    assert np.all(np.diff(stratum[np.argsort(values)]) >= 0)


@pytest.mark.parametrize("method", StratumEdges)
def test_rounding_at_the_top_edge_loses_no_value(method):
    # 0.1 + 49 steps of 0.2 / 49 ends above 0.3 where steps are added up
    values = np.concatenate([np.linspace(0.1, 0.3, 1000), np.nextafter(0.3, [0, 1])])
    stratum = assign_strata(values, stratum_edges(values, 49, method))
    assert stratum[values.argmax()] == 48
    assert np.bincount(stratum).sum() == len(values)


def test_neighbouring_numbers_can_be_cut_into_many_strata():
    values = np.array([1.0, np.nextafter(1.0, 2)])
    stratum = assign_strata(values, stratum_edges(values, 50, StratumEdges.EQUAL_WIDTH))
    assert stratum[0] < stratum[1] == 49


def test_equal_width_cuts_the_range_and_quantile_the_samples():
    values = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 8.0])
    equal = assign_strata(values, stratum_edges(values, 4, StratumEdges.EQUAL_WIDTH))
    assert np.bincount(equal, minlength=4).tolist() == [7, 0, 0, 1]
    quantile = assign_strata(values, stratum_edges(values, 4, StratumEdges.QUANTILE))
    assert np.bincount(quantile, minlength=4).tolist() == [2, 2, 2, 2]


@settings(deadline=None)
@given(st.integers(2, 300), st.integers(1, 20))
def test_quantile_strata_of_distinct_values_differ_by_two_at_most(size, count):
    values = np.random.default_rng(0).permutation(size).astype(float)
    stratum = assign_strata(values, stratum_edges(values, count, StratumEdges.QUANTILE))
    sizes = np.bincount(stratum, minlength=count)
    assert sizes.max() - sizes.min() <= 2


@pytest.mark.parametrize("method", StratumEdges)
def test_one_stratum_and_constant_scores_hold_everything(method):
    values = np.array([3.0, 1.0, 2.0])
    assert assign_strata(values, stratum_edges(values, 1, method)).tolist() == [0, 0, 0]
    same = np.full(5, 0.25)
    edges = stratum_edges(same, 50, method)
    assert edges.tolist() == [0.25, 0.25]
    assert assign_strata(same, edges).tolist() == [0] * 5


@settings(deadline=None, max_examples=500)
@given(size_sets, st.integers(0, 900))
def test_quotas_are_the_published_loop_and_spend_the_whole_budget(sizes, budget):
    given = quotas(sizes, budget)
    assert np.array_equal(given, literal_quotas(sizes, budget))
    assert given.sum() == min(budget, sizes.sum())
    assert np.all((given >= 0) & (given <= sizes))


@settings(deadline=None)
@given(size_sets, st.integers(1, 900))
def test_strata_that_are_not_used_up_give_almost_the_same(sizes, budget):
    given = quotas(sizes, budget)
    limited = given < sizes
    if limited.any():
        assert given[limited].max() - given[limited].min() <= 1
        assert np.all(given[~limited & (sizes > 0)] <= given[limited].max() + 1)


@settings(deadline=None, max_examples=500)
@given(size_sets, st.integers(0, 900), st.integers(0, 50))
def test_a_larger_budget_lowers_no_quota(sizes, budget, more):
    assert np.all(quotas(sizes, budget) <= quotas(sizes, budget + more))


def test_with_more_strata_than_budget_the_largest_give_one_each():
    sizes = np.array([4, 9, 2, 7, 5, 8])
    assert quotas(sizes, 2).tolist() == [0, 1, 0, 0, 0, 1]
