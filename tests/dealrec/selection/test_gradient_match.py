"""Gradients that point where validation's do."""

import dataclasses

import numpy as np

from dealrec.config import SelectionConfig
from dealrec.selection.select import select
from dealrec.selection.vectors import Vectors
from tests.dealrec.selection.inputs import whole_scores

CONFIG = SelectionConfig(method="gradient_match")


def cosines(scores):
    vectors = scores.gradients.samples.astype(float)
    target = scores.gradients.validation.astype(float).mean(0)
    return vectors @ target / np.linalg.norm(vectors, axis=1) / np.linalg.norm(target)


def test_the_highest_cosines_with_the_mean_of_validation_are_taken():
    scores = whole_scores(200)
    taken = select(scores, 30, CONFIG).selected()
    found = cosines(scores)
    assert found[taken].min() > found[~taken].max()


def test_the_length_of_a_gradient_does_not_count():
    scores = whole_scores(200)
    stretch = np.exp(np.random.default_rng(0).normal(size=(200, 1))).astype(np.float32)
    longer = Vectors(scores.gradients.samples * stretch, scores.gradients.validation)
    stretched = dataclasses.replace(scores, gradients=longer)
    expected = select(scores, 30, CONFIG).indices
    assert np.array_equal(expected, select(stretched, 30, CONFIG).indices)


def test_a_gradient_of_zero_points_nowhere():
    scores = whole_scores(20)
    vectors = scores.gradients.samples.copy()
    vectors[3] = 0
    zeroed = dataclasses.replace(scores, gradients=Vectors(vectors, scores.gradients.validation))
    assert np.isfinite(select(zeroed, 5, CONFIG).overall).all()
