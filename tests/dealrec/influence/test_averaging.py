import json

import numpy as np
import pytest

from dealrec.config import InfluenceConfig, SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.data.samples import build_samples
from dealrec.influence.averaging import average, score_ensemble
from dealrec.influence.scores import InfluenceScores
from dealrec.influence.scoring import score_influence
from dealrec.metrics.correlation import spearman
from dealrec.progress import Silent
from dealrec.surrogates.ensemble import Ensemble, train_ensemble
from tests.dealrec.surrogates.data import ring_dataset

ONE = Runtime(threads=1, device="cpu")
DATASET = ring_dataset(users=40, items=25)
SAMPLES = build_samples(DATASET)
SOLVED = {"residual": 1e-6, "iterations": 4, "converged": True, "negative_curvature": False}


@pytest.fixture(scope="module")
def ensemble():
    config = SurrogateConfig(
        hidden_size=8, max_length=6, negatives=20, batch_tokens=64, epochs=3, ensemble=3, seed=5
    )
    return train_ensemble(DATASET, config, runtime=ONE)


def scored(scores, **changes):
    return InfluenceScores(np.array(scores), {**SOLVED, "seconds": 1.0, **changes})


def test_influence_is_the_average_of_standardised_scores(ensemble):
    found = score_ensemble(DATASET, SAMPLES, ensemble, InfluenceConfig(), runtime=ONE)
    each = [
        score_influence(DATASET, SAMPLES, member, InfluenceConfig(), runtime=ONE).scores
        for member in ensemble.members
    ]
    deviations = [scores.std() for scores in each]
    expected = sum(s / d for s, d in zip(each, deviations, strict=True)) / 3 * np.mean(deviations)
    np.testing.assert_allclose(found.scores, expected, rtol=1e-12)
    pairs = [spearman(each[a], each[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert found.diagnostics["member_agreement"] == pytest.approx(np.mean(np.array(pairs, float)))
    assert len(found.diagnostics["members"]) == 3
    json.dumps(found.diagnostics, allow_nan=False)


def test_one_surrogate_alone_gives_its_own_scores(ensemble):
    alone = Ensemble(ensemble.members[:1])
    found = score_ensemble(DATASET, SAMPLES, alone, InfluenceConfig(), runtime=ONE)
    own = score_influence(DATASET, SAMPLES, ensemble.members[0], InfluenceConfig(), runtime=ONE)
    np.testing.assert_array_equal(found.scores, own.scores)


def test_a_surrogate_with_scores_a_thousand_times_larger_weighs_no_more():
    small, large = np.array([1.0, 2, 3, 5]), np.array([4000.0, 1000, 3000, 2000])
    found = average([scored(small), scored(large)]).scores
    again = average([scored(small), scored(large / 1000)]).scores
    assert np.array_equal(np.argsort(found), np.argsort(again))
    assert np.corrcoef(found, again)[0, 1] == pytest.approx(1)


def test_scores_that_are_all_the_same_leave_the_order_to_the_others():
    found = average([scored([0.0, 0, 0]), scored([3.0, 1, 2])])
    assert np.argsort(found.scores).tolist() == [1, 2, 0]
    assert found.diagnostics["member_agreement"] is None


def test_it_has_converged_where_every_member_has():
    bad = scored([1.0, 2, 3], residual=0.5, converged=False)
    said = average([scored([1.0, 2, 3]), bad]).diagnostics
    assert said["converged"] is False
    assert said["residual"] == 0.5
    assert said["iterations"] == 8


def test_progress_goes_on_over_the_members(ensemble):
    class Watched(Silent):
        def __init__(self):
            self.seen = []

        def progress(self, done, total, unit):
            self.seen.append((done, total))

    watched = Watched()
    score_ensemble(DATASET, SAMPLES, ensemble, InfluenceConfig(), runtime=ONE, reporter=watched)
    assert watched.seen == sorted(watched.seen)
    assert watched.seen[-1][0] == watched.seen[-1][1]
    assert len({total for _, total in watched.seen}) == 1
