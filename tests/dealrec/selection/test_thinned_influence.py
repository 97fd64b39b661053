from dataclasses import replace

import numpy as np
import pytest

from dealrec.config import SelectionConfig
from dealrec.selection.select import select
from tests.dealrec.selection.inputs import whole_scores


def _select(scores, budget, per_target):
    config = SelectionConfig(method="thinned_influence", per_target=per_target)
    return select(scores, budget, config).indices


@pytest.mark.parametrize("per_target", [1, 2])
def test_no_target_gives_more_than_it_may_and_no_better_sample_is_passed_over(per_target):
    scores = whole_scores(600)
    taken = _select(scores, 100, per_target)
    given = np.bincount(scores.targets[taken], minlength=scores.targets.max() + 1)
    assert given.max() == per_target
    lowest = scores.influence[taken].min()
    better = np.setdiff1d(np.flatnonzero(scores.influence > lowest), taken)
    assert len(better) > 0
    for index in better:
        assert given[scores.targets[index]] == per_target
        here = taken[scores.targets[taken] == scores.targets[index]]
        assert scores.influence[here].min() > scores.influence[index]


def test_a_budget_above_what_targets_may_give_is_spent_all_the_same():
    scores = replace(whole_scores(60), targets=np.repeat([0, 1, 2], [50, 5, 5]).astype(np.int32))
    taken = _select(scores, 20, 2)
    assert np.bincount(scores.targets[taken]).tolist() == [10, 5, 5]


def test_targets_without_limit_are_the_highest_influence():
    scores = whole_scores(600)
    highest = select(scores, 100, SelectionConfig(method="influence")).indices
    assert np.array_equal(_select(scores, 100, 1000), highest)
