"""``composite``: its corners are the selectors that it says, and each part does what it is for."""

from dataclasses import replace

import numpy as np
import pytest

from dealrec.config import SelectionConfig
from dealrec.config.selectors import Need, selector_needs
from dealrec.selection.select import select
from tests.dealrec.selection.inputs import whole_scores

NO_CAP = 1_000_000
OFF = {"score_weight": 0, "diversity_weight": 0, "strata": 1, "per_target": NO_CAP}


def composite(**options):
    return SelectionConfig(method="composite", difficulty="influence", seed=3, **options)


@pytest.mark.parametrize(
    ("corner", "options"),
    [
        ("random", {}),
        ("stratified_random", {"strata": 7}),
        ("influence", {"score_weight": 1}),
        ("thinned_influence", {"score_weight": 1, "per_target": 2}),
        ("k_center", {"diversity_weight": 1}),
    ],
)
@pytest.mark.parametrize("budget", [10, 150])
def test_other_selectors_are_its_corners(corner, options, budget):
    scores = whole_scores(300)
    expected = SelectionConfig(method=corner, strata=7, per_target=2, seed=3)
    found = select(scores, budget, composite(**{**OFF, **options}))
    assert found.indices.tolist() == select(scores, budget, expected).indices.tolist()


def test_a_corner_looks_at_nothing_that_it_does_not_weigh():
    assert selector_needs(composite(**OFF)) == {Need.TARGETS}
    assert selector_needs(composite()) == {Need.TARGETS, Need.INFLUENCE, Need.EMBEDDING}


def test_popularity_is_kept_and_no_target_gives_more_than_it_may():
    scores = whole_scores(600)
    assert scores.targets is not None
    found = select(scores, 60, composite(strata=6, per_target=1))
    assert all(abs(use.selected - use.available / 10) <= 1 for use in found.strata)
    assert np.bincount(scores.targets[found.indices]).max() == 1


def test_with_more_weight_on_diversity_the_samples_lie_further_apart_and_score_less():
    scores = replace(whole_scores(400), targets=np.arange(400, dtype=np.int32))
    assert scores.embedding is not None
    spreads, means = [], []
    for weight in (0, 1, 100):
        taken = select(scores, 20, composite(strata=1, diversity_weight=weight)).indices
        vectors = scores.embedding.samples[taken]
        distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
        spreads.append(distances[np.triu_indices(20, 1)].min())
        means.append(scores.influence[taken].mean())
    assert spreads == sorted(spreads) and spreads[0] < spreads[-1]
    assert means == sorted(means, reverse=True) and means[0] > means[-1]


def test_a_budget_above_the_caps_is_spent_all_the_same():
    targets = np.repeat([0, 1, 2], [50, 5, 5]).astype(np.int32)
    scores = replace(whole_scores(60), targets=targets)
    for weight in (0, 1):
        taken = select(
            scores, 20, composite(strata=1, diversity_weight=weight, per_target=2)
        ).indices
        assert np.bincount(targets[taken]).tolist() == [10, 5, 5]
