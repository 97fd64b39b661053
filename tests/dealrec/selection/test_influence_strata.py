import numpy as np

from dealrec.config import SelectionConfig
from dealrec.selection.select import select
from tests.dealrec.selection.inputs import whole_scores


def _config(**changes):
    return SelectionConfig(method="influence_strata", strata=20, **changes)


def test_it_is_dealrec_without_effort_and_without_pruning():
    scores = whole_scores(500)
    plain = SelectionConfig(method="dealrec", strata=20, effort_weight=0, hard_prune=0)
    assert np.array_equal(select(scores, 80, _config()).indices, select(scores, 80, plain).indices)


def test_both_tails_are_taken_whole_and_the_middle_shares_the_rest():
    scores = whole_scores(2000)
    selection = select(scores, 200, _config())
    tails = np.abs(scores.influence) > 2.8
    assert 0 < tails.sum() < 40
    assert selection.selected()[tails].all()
    wide = [use for use in selection.strata if use.available > 40]
    assert len(wide) > 5
    assert max(use.selected for use in wide) - min(use.selected for use in wide) <= 1


def test_effort_and_the_options_of_dealrec_change_nothing():
    scores = whole_scores(300)
    ours = _config(effort_weight=2, hard_prune=0.5, normalisation="rank", stratum_edges="quantile")
    assert np.array_equal(select(scores, 60, _config()).indices, select(scores, 60, ours).indices)
