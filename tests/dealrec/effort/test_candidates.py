import numpy as np
import pyarrow as pa
import pytest

from dealrec.config import PruneConfig, SelectionConfig
from dealrec.config.effort import measured_samples
from dealrec.effort.candidates import candidate_pool, draw_candidates
from dealrec.selection.interface import Scores
from dealrec.selection.select import select

N = 3000
KEYS = pa.array([f"user-{number}" for number in range(N)])
DRAW = np.random.default_rng(0)
INFLUENCE = DRAW.standard_t(3, N)
EFFORT = DRAW.lognormal(size=N)
CONFIG = SelectionConfig(method="influence_strata")


def with_pool(pool):
    """Effort where it was measured, and what the selection takes of it."""
    mask = np.zeros(N, dtype=bool)
    mask[pool] = True
    return Scores(KEYS, INFLUENCE, np.where(mask, EFFORT, np.nan), mask)


def overlap(first, second):
    return len(np.intersect1d(first.indices, second.indices)) / len(first.indices)


def config(candidates):
    return PruneConfig.parse({"effort": {"candidates": candidates}})


def test_a_job_without_the_option_measures_all():
    assert candidate_pool(KEYS, INFLUENCE, 50, config(None)) is None
    assert candidate_pool(KEYS, INFLUENCE, 50, PruneConfig(effort=None)) is None
    assert measured_samples(N, 50, None) == N


@pytest.mark.parametrize(("candidates", "size"), [(2, 100), (4, 200), (1000, N)])
def test_the_pool_is_a_multiple_of_the_budget_up_to_all(candidates, size):
    pool = candidate_pool(KEYS, INFLUENCE, 50, config(candidates))
    assert pool is not None
    assert len(np.unique(pool)) == len(pool) == size == measured_samples(N, 50, candidates)
    assert np.all(np.diff(pool) > 0)


def test_a_pool_as_large_as_the_data_is_the_full_method():
    full = select(Scores(KEYS, INFLUENCE, EFFORT), 50, CONFIG)
    pooled = select(with_pool(draw_candidates(KEYS, INFLUENCE, N, CONFIG)), 50, CONFIG)
    for name in ("indices", "overall", "stratum"):
        np.testing.assert_array_equal(getattr(pooled, name), getattr(full, name))


def test_the_pool_reaches_into_every_stratum_of_influence():
    pool = draw_candidates(KEYS, INFLUENCE, 200, CONFIG)
    assert INFLUENCE[pool].min() == INFLUENCE.min()
    assert INFLUENCE[pool].max() == INFLUENCE.max()


def test_a_larger_pool_comes_closer_to_the_full_method_than_random_would():
    full = select(Scores(KEYS, INFLUENCE, EFFORT), 50, CONFIG)
    near = [
        overlap(select(with_pool(draw_candidates(KEYS, INFLUENCE, size, CONFIG)), 50, CONFIG), full)
        for size in (100, 800, N)
    ]
    assert near == sorted(near)
    assert near[0] > 3 * 50 / N  # of a random selection 50 in 3,000 would be in both
    assert near[-1] == 1


def test_the_order_of_the_samples_does_not_matter():
    order = np.random.default_rng(1).permutation(N)
    pool = draw_candidates(KEYS, INFLUENCE, 200, CONFIG)
    shuffled = draw_candidates(KEYS.take(pa.array(order)), INFLUENCE[order], 200, CONFIG)
    assert set(order[shuffled].tolist()) == set(pool.tolist())
