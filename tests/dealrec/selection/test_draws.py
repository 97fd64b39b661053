"""Which samples of a stratum are taken: seeds, nested budgets, corner cases."""

from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dealrec.config import Normalisation, SelectionConfig, SelectionMethod, StratumEdges
from dealrec.selection.interface import HARD_PRUNED, Scores, priorities
from dealrec.selection.select import select
from tests.dealrec.selection.inputs import whole_scores


def scores_of(influence, effort=None):
    keys = pa.array([f"{number:03}" for number in range(len(influence))])
    return Scores(keys, np.array(influence, dtype=float), effort)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0]), min_size=2, max_size=60),
    st.sampled_from((SelectionMethod.DEALREC, SelectionMethod.RANDOM, SelectionMethod.INFLUENCE)),
    st.sampled_from(StratumEdges),
    st.sampled_from(Normalisation),
    st.sampled_from([1, 3, 50]),
    st.data(),
)
def test_a_larger_budget_keeps_what_a_smaller_one_took(
    influence, method, edges, normalisation, strata, data
):
    """As long as hard pruning need not give way to the larger one."""
    hard_prune = data.draw(st.sampled_from([0.0, 0.1, 0.3]))
    most = len(influence) - int(np.ceil(hard_prune * len(influence)))
    large = data.draw(st.integers(1, most))
    small = data.draw(st.integers(1, large))
    config = SelectionConfig(
        method=method,
        stratum_edges=edges,
        normalisation=normalisation,
        strata=strata,
        hard_prune=hard_prune,
    )
    scores = scores_of(influence)
    assert set(select(scores, small, config).indices) <= set(select(scores, large, config).indices)


def test_one_stratum_draws_every_subset_equally_often():
    scores = scores_of([0.1, 0.9, 0.4, 0.6, 0.2])
    counts = dict.fromkeys(combinations(range(5), 2), 0)
    for seed in range(3000):
        config = SelectionConfig(method="dealrec", strata=1, hard_prune=0, seed=seed)
        counts[tuple(select(scores, 2, config).indices.tolist())] += 1
    expected = 3000 / len(counts)
    # chi-squared with 9 degrees of freedom: 27.9 at one in a thousand
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 27.9


def test_one_stratum_without_pruning_is_the_random_selector():
    scores = scores_of(np.random.default_rng(0).normal(size=200))
    one = SelectionConfig(method="dealrec", strata=1, hard_prune=0, seed=7)
    control = SelectionConfig(method=SelectionMethod.RANDOM, seed=7)
    assert np.array_equal(select(scores, 60, one).indices, select(scores, 60, control).indices)


def test_with_more_strata_than_budget_the_best_filled_ones_give_one_sample_each():
    influence = [0.0] * 3 + [0.4] * 5 + [0.8] * 4 + [1.0]
    config = SelectionConfig(method="dealrec", strata=10, hard_prune=0, effort_weight=0)
    used = [use for use in select(scores_of(influence), 2, config).strata if use.selected]
    assert [(use.available, use.selected) for use in used] == [(5, 1), (4, 1)]


@pytest.mark.parametrize("edges", StratumEdges)
@pytest.mark.parametrize("normalisation", Normalisation)
@pytest.mark.parametrize("constant", [0.0, -2.5])
def test_constant_scores_are_drawn_from_one_stratum(edges, normalisation, constant):
    config = SelectionConfig(method="dealrec", stratum_edges=edges, normalisation=normalisation)
    selection = select(scores_of([constant] * 40), 10, config)
    assert len(set(selection.indices.tolist())) == 10
    assert len(selection.strata) == 1
    assert selection.strata[0].available == 36  # the 4 that hard pruning drops, the larger keys
    assert np.flatnonzero(selection.stratum == HARD_PRUNED).tolist() == [36, 37, 38, 39]


def test_seeds_move_draws_but_neither_strata_nor_quotas():
    scores = scores_of(np.random.default_rng(2).normal(size=300))
    first, second = (
        select(scores, 50, SelectionConfig(method="dealrec", seed=seed)) for seed in (0, 1)
    )
    assert first.strata == second.strata
    assert np.array_equal(first.stratum, second.stratum)
    assert not np.array_equal(first.indices, second.indices)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(), min_size=1, max_size=30, unique=True), st.integers(0, 2**31 - 1))
def test_a_priority_depends_on_its_key_and_the_seed_alone(keys, seed):
    """So a sample that is added, or left out, changes nobody else's place."""

    def drawn(some):
        return priorities(Scores(pa.array(some), np.zeros(len(some)), None), seed).tolist()

    together = drawn(keys)
    assert together == [drawn([key])[0] for key in keys]
    assert all(0 <= one < 1 for one in together)
    assert len(set(together)) == len(keys)


def test_draws_of_other_seeds_and_purposes_are_independent():
    scores = whole_scores(2000)
    drawn = [priorities(scores, 0), priorities(scores, 1), priorities(scores, 0, "clusters")]
    assert np.abs(np.corrcoef(drawn) - np.eye(3)).max() < 0.08
    for one in drawn:  # Kolmogorov and Smirnov: 1.95 at one in a thousand
        assert np.abs(np.sort(one) - np.arange(2000) / 2000).max() * np.sqrt(2000) < 1.95


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 60), st.integers(0, 100), st.sampled_from([1, 3, 50]), st.data())
def test_a_larger_budget_of_recranker_keeps_what_a_smaller_one_took(size, seed, clusters, data):
    large = data.draw(st.integers(1, size))
    small = data.draw(st.integers(1, large))
    scores = whole_scores(size, seed)
    config = SelectionConfig(method="recranker", clusters=clusters, seed=seed)
    taken = [set(select(scores, budget, config).indices) for budget in (small, large)]
    assert taken[0] <= taken[1]


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(["random", "recranker", "effort"]), st.integers(2, 60), st.integers(0, 100))
def test_a_sample_that_is_added_takes_the_place_of_few(method, size, seed):
    """With one cluster: of both orders of ``recranker`` the added sample moves one other out."""
    scores = whole_scores(size, seed, few=True)
    config = SelectionConfig(method=method, clusters=1, seed=seed)
    budget = 1 + size // 3
    before = set(select(scores.take(np.arange(size - 1)), min(budget, size - 1), config).indices)
    after = set(select(scores, budget, config).indices)
    assert len(before - after) <= 1
    assert after - before <= {size - 1} or method == "recranker"
