"""Herding: means of the taken samples near the mean of all."""

import numpy as np
import pytest

from dealrec.config import SelectionConfig
from dealrec.selection.select import select
from tests.dealrec.selection.inputs import whole_scores


def test_each_sample_is_the_one_that_brings_the_means_nearest():
    scores = whole_scores(50)
    vectors = scores.embedding.samples.astype(float)
    taken: list[int] = []
    for size in range(1, 9):
        left = [sample for sample in range(50) if sample not in taken]
        away = [
            np.linalg.norm(vectors[[*taken, sample]].mean(0) - vectors.mean(0)) for sample in left
        ]
        taken.append(left[int(np.argmin(away))])
        chosen = select(scores, size, SelectionConfig(method="herding")).indices
        assert chosen.tolist() == sorted(taken)


@pytest.mark.parametrize("budget", [10, 40])
def test_its_mean_is_nearer_than_that_of_random_draws(budget):
    scores = whole_scores(400)
    vectors = scores.embedding.samples

    def away(method, seed=0):
        taken = select(scores, budget, SelectionConfig(method=method, seed=seed)).indices
        return np.linalg.norm(vectors[taken].mean(0) - vectors.mean(0))

    assert away("herding") < min(away("random", seed) for seed in range(20))
