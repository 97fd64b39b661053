from dataclasses import replace

import numpy as np
import pytest

from dealrec.config import SelectionConfig
from dealrec.selection.select import select
from dealrec.selection.vectors import Vectors
from tests.dealrec.selection.inputs import whole_scores


def angles(*degrees):
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def take(scores, budget, turn_vectors="embedding", seed=0):
    config = SelectionConfig(method="round_robin", turn_vectors=turn_vectors, seed=seed)
    return set(select(scores, budget, config).indices.tolist())


def test_every_validation_sample_gets_its_nearest_where_the_mean_would_serve_none():
    samples = angles(0, 90, 44, 45, 46)
    scores = replace(whole_scores(5), embedding=Vectors(samples, angles(2, 88)))
    assert take(scores, 2) == {0, 1}


def test_turns_go_round_and_take_nothing_twice():
    samples = angles(0, 1, 2, 90, 120, 150)
    scores = replace(whole_scores(6), embedding=Vectors(samples, angles(0, 90, 91)))
    # The first two turns of each take 0, 90 and 120 degrees, then 1, 150 (the last one near 90) and 2.
    assert take(scores, 3) == {0, 3, 4}
    assert take(scores, 6) == set(range(6))


def test_gradients_are_compared_around_their_mean():
    shared = np.array([100.0, 100.0], np.float32)
    vectors = Vectors(angles(10, 80, 190, 260) + shared, angles(12, 258) + shared)
    scores = replace(whole_scores(4), gradients=vectors, embedding=vectors)
    assert take(scores, 2, "gradients") == {0, 3}


def test_a_larger_budget_contains_the_smaller_one():
    scores = whole_scores(300, dimension=5)
    taken = [take(scores, budget) for budget in (10, 60, 200)]
    assert taken[0] < taken[1] < taken[2]


@pytest.mark.parametrize("budget", [7, 400, 900])
def test_turns_are_those_of_a_whole_matrix_of_cosines(budget, monkeypatch):
    monkeypatch.setattr("dealrec.selection.round_robin._BLOCK", 100)
    monkeypatch.setattr("dealrec.selection.round_robin._FIRST_LOOK", 3)
    scores = whole_scores(900, dimension=4)
    assert scores.embedding is not None and scores.embedding.validation is not None
    pool, queries = (
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        for vectors in (scores.embedding.samples, scores.embedding.validation)
    )
    cosines = queries @ pool.T
    expected = set[int]()
    for turn in range(budget):
        query = np.random.default_rng(0).permutation(len(queries))[turn % len(queries)]
        best = max(set(range(900)) - expected, key=lambda row: cosines[query, row])
        expected.add(best)
    assert (
        len(take(scores, budget) ^ expected) <= 0.01 * budget
    )  # cosines that are equal but for rounding
