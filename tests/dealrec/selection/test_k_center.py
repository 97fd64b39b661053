"""The greedy k-center."""

from itertools import combinations

import numpy as np
import pytest

from dealrec.config import SelectionConfig
from dealrec.selection.select import select
from tests.dealrec.selection.inputs import whole_scores


def radius(vectors, taken):
    away = np.linalg.norm(vectors[:, None] - vectors[list(taken)][None], axis=2)
    return away.min(1).max()


@pytest.mark.parametrize("seed", range(5))
def test_the_radius_is_at_most_twice_the_best(seed):
    scores = whole_scores(14, seed=seed)
    vectors = scores.embedding.samples
    best = min(radius(vectors, some) for some in combinations(range(14), 4))
    taken = select(scores, 4, SelectionConfig(method="k_center", seed=seed)).indices
    assert radius(vectors, taken) <= 2 * best + 1e-5


def test_each_larger_budget_adds_the_farthest_sample():
    scores = whole_scores(60)
    vectors = scores.embedding.samples
    config = SelectionConfig(method="k_center")
    before = set(select(scores, 5, config).indices.tolist())
    after = set(select(scores, 6, config).indices.tolist())
    (added,) = after - before
    away = np.linalg.norm(vectors[:, None] - vectors[list(before)][None], axis=2).min(1)
    assert before < after
    assert away[added] == pytest.approx(away.max(), rel=1e-5)
