import numpy as np

from dealrec.config import SelectionConfig
from dealrec.selection.select import select
from tests.dealrec.selection.inputs import whole_scores

CONFIG = SelectionConfig(method="balanced", strata=4, length_strata=3, harmful_prune=0.25)


def _strata(selection):
    return {use.index: use for use in selection.strata}


def test_every_stratum_gives_its_share():
    scores = whole_scores(600)
    selection = select(scores, 150, CONFIG)
    assert len(selection.strata) == 12
    for use in selection.strata:
        assert abs(use.selected - use.available / 4) <= 1


def test_the_most_harmful_of_a_stratum_are_left_out_and_nothing_else():
    scores = whole_scores(600)
    taken = np.zeros(600, dtype=bool)
    for seed in range(60):
        chosen = select(scores, 60, CONFIG.model_copy(update={"seed": seed}))
        taken[chosen.indices] = True
    for stratum, use in _strata(chosen).items():
        members = np.flatnonzero(chosen.stratum == stratum)
        harmful = members[np.argsort(scores.influence[members])][: use.available // 4]
        assert not taken[harmful].any()
        assert taken[np.setdiff1d(members, harmful)].all()


def test_popular_targets_and_long_histories_are_as_frequent_as_in_all_samples():
    scores = whole_scores(3000)
    popularity = np.bincount(scores.targets)[scores.targets]
    chosen = select(scores, 300, CONFIG).indices
    alike = 0.1
    for values in (popularity, scores.history_lengths):
        assert abs(values[chosen].mean() - values.mean()) < alike * values.std()


def test_pruning_gives_way_where_the_budget_needs_the_samples():
    scores = whole_scores(40)
    assert len(select(scores, 40, CONFIG).indices) == 40
    assert len(select(scores, 39, CONFIG).indices) == 39
