"""Messages over the graph of neighbours."""

import dataclasses

import numpy as np

from dealrec.config import SelectionConfig
from dealrec.selection.select import select
from dealrec.selection.vectors import Vectors
from tests.dealrec.selection.inputs import whole_scores


def literal(vectors, hard, budget, k, forward, reverse):
    """The two passes on a dense matrix, from the paper's formulas."""
    n = len(vectors)
    squares = ((vectors[:, None] - vectors[None]) ** 2).sum(2).astype(float)
    np.fill_diagonal(squares, np.inf)
    nearest = np.argsort(squares, axis=1)[:, :k]
    joined = np.zeros((n, n), bool)
    joined[np.arange(n)[:, None], nearest] = True
    squares /= squares[joined].mean()
    joined |= joined.T
    score = hard + np.where(joined, np.exp(-forward * squares), 0) @ hard
    taken = []
    for _ in range(budget):
        best = int(np.argmax(score))
        taken.append(best)
        beside = joined[best]
        score[beside] -= np.exp(-reverse * squares[best, beside]) * score[best]
        score[best] = -np.inf
    return sorted(taken)


def test_it_is_the_papers_two_passes():
    scores = whole_scores(80)
    hard = (scores.el2n - scores.el2n.min()) / (scores.el2n.max() - scores.el2n.min())
    config = SelectionConfig(
        method="d2", difficulty="el2n", neighbours=4, forward_decay=0.7, reverse_decay=1.3
    )
    expected = literal(scores.embedding.samples, hard, 25, 4, 0.7, 1.3)
    assert select(scores, 25, config).indices.tolist() == expected


def test_of_a_hard_crowd_one_is_taken_before_its_twins():
    vectors = np.concatenate([np.zeros((5, 2)), 10 + np.arange(5)[:, None] * [3, 1]])
    hard = np.array([1.0] * 5 + [0.4] * 4 + [0.0])
    scores = dataclasses.replace(
        whole_scores(10), embedding=Vectors(vectors.astype(np.float32)), el2n=hard
    )
    config = SelectionConfig(
        method="d2", difficulty="el2n", neighbours=4, forward_decay=1000, reverse_decay=0
    )
    taken = select(scores, 2, config).indices
    assert (taken < 5).sum() == 1


def test_without_messages_the_hardest_are_taken():
    scores = whole_scores(80)
    config = SelectionConfig(
        method="d2", difficulty="el2n", forward_decay=1000, reverse_decay=1000, neighbours=1
    )
    apart = dataclasses.replace(
        scores, embedding=Vectors(np.arange(80, dtype=np.float32)[:, None] ** 2)
    )
    taken = select(apart, 20, config).selected()
    assert apart.el2n[taken].min() > np.sort(apart.el2n)[-24]
