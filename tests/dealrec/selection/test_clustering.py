"""Selectors over clusters of embeddings."""

import dataclasses

import numpy as np

from dealrec.config import SelectionConfig
from dealrec.selection.clustering import cluster
from dealrec.selection.select import select
from dealrec.selection.vectors import Vectors
from tests.dealrec.selection.inputs import whole_scores

SIZES = (200, 80, 20)


def clustered(seed=0):
    """Three well separated clouds of 300 samples."""
    rng = np.random.default_rng(seed)
    middles = np.repeat(np.array([[0, 0], [50, 0], [0, 50]]), SIZES, axis=0)
    vectors = (middles + rng.normal(size=(300, 2))).astype(np.float32)
    return dataclasses.replace(whole_scores(300), embedding=Vectors(vectors)), middles


def cloud(middles):
    return middles @ np.array([1, 2]) // 50


def test_clouds_are_found_and_distances_are_to_their_means():
    scores, middles = clustered()
    labels, distances = cluster(scores.embedding.samples, 3, seed=0)
    for own in range(3):
        here = cloud(middles) == own
        assert len(set(labels[here])) == 1
        vectors = scores.embedding.samples[here]
        expected = np.linalg.norm(vectors - vectors.mean(0), axis=1)
        assert np.allclose(distances[here], expected, atol=1e-4)


def test_moderate_takes_the_samples_around_the_median_distance():
    scores, _ = clustered()
    config = SelectionConfig(method="moderate", clusters=3)
    taken = select(scores, 61, config).selected()
    _, distances = cluster(scores.embedding.samples, 3, seed=0)
    assert (distances < distances[taken].min()).sum() == 119
    assert (distances > distances[taken].max()).sum() == 120
    assert distances[taken].min() < np.median(distances) < distances[taken].max()


def test_tf_dcon_takes_each_clusters_share_nearest_to_its_middle():
    scores, middles = clustered()
    taken = select(scores, 30, SelectionConfig(method="tf_dcon", clusters=3)).selected()
    for own, share in enumerate((20, 8, 2)):
        here = cloud(middles) == own
        vectors = scores.embedding.samples[here]
        away = np.linalg.norm(vectors - vectors.mean(0), axis=1)
        assert taken[here].sum() == share
        assert away[taken[here]].max() < away[~taken[here]].min()


def test_recranker_prefers_active_users_and_reaches_every_cluster():
    scores, middles = clustered()
    lengths = np.where(np.arange(300) % 2 == 0, 1, 1000)
    scores = dataclasses.replace(scores, history_lengths=lengths)
    counts = np.zeros(300)
    for seed in range(50):
        config = SelectionConfig(method="recranker", clusters=3, seed=seed)
        taken = select(scores, 60, config).selected()
        assert all(taken[cloud(middles) == own].any() for own in range(3))
        counts += taken
    # Half of the draws are by log interactions (a ratio of ten), half are uniform in a cluster.
    assert 1.5 < counts[lengths == 1000].sum() / counts[lengths == 1].sum() < 5
