"""Random draws that keep the popularity of targets."""

import dataclasses

import numpy as np

from dealrec.config import SelectionConfig
from dealrec.selection.select import select
from tests.dealrec.selection.inputs import whole_scores


def popularity_of(size, seed=0):
    rng = np.random.default_rng(seed)
    targets = np.minimum(rng.zipf(1.5, size), 300).astype(np.int32)
    return dataclasses.replace(whole_scores(size), targets=targets), np.bincount(targets)[targets]


def test_each_stratum_gives_its_share_to_within_one():
    scores, _ = popularity_of(1000)
    config = SelectionConfig(method="stratified_random", strata=8)
    strata = select(scores, 90, config).strata
    assert len(strata) > 3
    for use in strata:
        assert abs(use.selected - 90 * use.available / 1000) < 1


def test_mean_popularity_varies_less_than_over_uniform_draws():
    scores, popularity = popularity_of(1000)

    def spread(method):
        means = [
            popularity[
                select(scores, 60, SelectionConfig(method=method, strata=8, seed=seed)).indices
            ].mean()
            for seed in range(60)
        ]
        return np.std(means)

    assert spread("stratified_random") < spread("random") / 2


def test_samples_of_one_target_share_a_stratum():
    scores, _ = popularity_of(500)
    stratum = select(scores, 50, SelectionConfig(method="stratified_random")).stratum
    for target in np.unique(scores.targets):
        assert len(set(stratum[scores.targets == target])) == 1
