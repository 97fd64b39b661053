"""Transport to the validation samples."""

import dataclasses

import numpy as np
import pytest

from dealrec.config import SelectionConfig
from dealrec.selection.goracs import _costs, _greedy, _transport
from dealrec.selection.select import select
from dealrec.selection.vectors import Vectors
from tests.dealrec.selection.inputs import whole_scores


def config(**options):
    return SelectionConfig(method="goracs", **options)


def cost_of(scores, gradient_weight=0.1):
    return _costs(scores, np.arange(len(scores)), gradient_weight)


def test_costs_are_distances_less_gradient_norms():
    scores = whole_scores(30)
    vectors, targets = scores.embedding.samples, scores.embedding.validation
    away = np.linalg.norm(vectors[:, None] - targets[None], axis=2)
    expected = away / away.max() - 0.4 * (scores.effort / scores.effort.max())[:, None]
    expected = (expected - expected.min()) / (expected.max() - expected.min())
    assert np.allclose(cost_of(scores, 0.4), expected, atol=1e-5)


def test_the_lazy_greedy_takes_what_looking_at_every_sample_takes():
    cost = cost_of(whole_scores(60))
    taken: list[int] = []
    covered = np.ones(cost.shape[1])
    for _ in range(4):  # fewer than the validation samples: there is something to gain
        gains = np.maximum(covered - cost, 0).sum(1)
        gains[taken] = -1
        taken.append(int(gains.argmax()))
        covered = np.minimum(covered, cost[taken[-1]])
    assert _greedy(cost, 4).tolist() == taken


def test_exchanges_only_lower_the_transport_cost():
    scores = whole_scores(80, seed=3)
    cost = cost_of(scores)
    values = [
        _transport(cost, select(scores, 12, config(exchanges=count)).indices)[0]
        for count in (0, 5, 40)
    ]
    assert values[0] >= values[1] >= values[2]
    assert values[2] < values[0]


def test_it_is_nearer_to_validation_than_random_draws():
    scores = whole_scores(300)
    cost = cost_of(scores)

    def away(method, seed=0):
        chosen = select(scores, 20, SelectionConfig(method=method, seed=seed))
        return _transport(cost, chosen.indices)[0]

    assert away("goracs") < min(away("random", seed) for seed in range(20))


def test_with_much_weight_large_gradients_win_over_near_samples():
    scores = whole_scores(100)
    near = scores.effort[select(scores, 10, config(gradient_weight=0)).indices].mean()
    large = scores.effort[select(scores, 10, config(gradient_weight=100)).indices].mean()
    assert near < large
    assert large == pytest.approx(np.sort(scores.effort)[-10:].mean(), rel=0.02)


def test_without_gradients_each_validation_sample_finds_its_twin():
    scores = whole_scores(50)
    twins = Vectors(scores.embedding.samples, scores.embedding.samples[[3, 14, 27]])
    found = select(
        dataclasses.replace(scores, embedding=twins), 3, config(gradient_weight=0)
    ).indices
    assert found.tolist() == [3, 14, 27]
