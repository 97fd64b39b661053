from dataclasses import replace

import numpy as np

from dealrec.config import SelectionConfig
from dealrec.selection.select import select
from dealrec.selection.vectors import Vectors
from tests.dealrec.selection.inputs import whole_scores

SIZE = 4000


def _config(**changes):
    return SelectionConfig(method="importance_resampling", **changes)


def _shifted(shift):
    """Samples around 0, validation around ``shift`` in the first of three dimensions."""
    rng = np.random.default_rng(1)
    found, asked = rng.normal(size=(SIZE, 3)), rng.normal(size=(1000, 3))
    asked[:, 0] += shift
    vectors = Vectors(found.astype(np.float32), asked.astype(np.float32))
    return replace(whole_scores(SIZE), embedding=vectors)


def test_what_is_drawn_lies_where_validation_does():
    scores = _shifted(1.0)
    means = np.array(
        [
            scores.embedding.samples[select(scores, 200, _config(seed=seed)).indices].mean(axis=0)
            for seed in range(20)
        ]
    ).mean(axis=0)
    np.testing.assert_allclose(means, [1.0, 0.0, 0.0], atol=0.1)


def test_the_chance_of_two_normals_is_the_ratio_of_their_densities():
    scores = _shifted(1.0)
    overall = select(scores, 10, _config()).overall
    # log N(x; 1, 1) / N(x; 0, 1) is x - 1/2: linear in x, so the overall score is, too.
    assert np.corrcoef(overall, scores.embedding.samples[:, 0])[0, 1] > 0.995


def test_more_tilt_takes_what_is_more_like_validation_and_none_draws_uniformly():
    scores = _shifted(1.0)
    means = [
        scores.embedding.samples[select(scores, 400, _config(tilt=tilt)).indices, 0].mean()
        for tilt in (0, 1, 4)
    ]
    assert abs(means[0]) < 0.15
    assert means[0] + 0.5 < means[1] < means[2] - 0.3


def test_a_larger_budget_keeps_what_a_smaller_one_took():
    scores = _shifted(0.5)
    few, more = (select(scores, budget, _config()).indices for budget in (50, 500))
    assert set(few) < set(more)


def test_vectors_that_are_all_the_same_draw_uniformly():
    scores = whole_scores(60)
    same = Vectors(np.ones((60, 3), dtype=np.float32), np.ones((5, 3), dtype=np.float32))
    scores = replace(scores, embedding=same)
    drawn = select(scores, 20, _config(seed=3)).indices
    uniform = select(scores, 20, SelectionConfig(method="random", seed=3)).indices
    assert np.array_equal(drawn, uniform)
