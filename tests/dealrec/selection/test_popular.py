from dataclasses import replace

import numpy as np
import pytest

from dealrec.config import SelectionConfig
from dealrec.selection.select import select
from tests.dealrec.selection.inputs import whole_scores

TARGETS = np.repeat([7, 3, 5, 1], [30, 20, 10, 1]).astype(np.int32)


def popular(budget, per_target, seed=0):
    scores = replace(whole_scores(61), targets=TARGETS)
    config = SelectionConfig(method="popular", per_target=per_target, seed=seed)
    return TARGETS[select(scores, budget, config).indices].tolist()


@pytest.mark.parametrize(
    ("per_target", "expected"), [(1, [7, 3, 5]), (2, [7, 7, 3]), (99, [7] * 3)]
)
def test_the_most_frequent_targets_give_as_many_as_they_may(per_target, expected):
    assert popular(3, per_target) == expected


def test_a_budget_above_the_caps_is_spent_in_rounds():
    assert popular(6, 1) == [7, 7, 3, 3, 5, 1]


def test_equally_frequent_targets_are_drawn_by_seed():
    scores = replace(whole_scores(40), targets=np.arange(40, dtype=np.int32))
    drawn = {
        select(scores, 1, SelectionConfig(method="popular", seed=seed)).indices.item()
        for seed in range(10)
    }
    assert len(drawn) > 3
