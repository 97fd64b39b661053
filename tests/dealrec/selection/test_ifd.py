from dataclasses import replace

import numpy as np
import pytest

from dealrec.config import SelectionConfig
from dealrec.selection.select import select
from tests.dealrec.selection.inputs import whole_scores


@pytest.mark.parametrize(
    ("budget", "expected"), [(1, {3}), (3, {0, 1, 3}), (4, {0, 1, 2, 3}), (5, {0, 1, 2, 3, 5})]
)
def test_the_hardest_that_the_history_helps_come_first_and_then_the_least_misled(budget, expected):
    ratios = np.array([0.7, 0.5, 0.1, 0.9, 3.0, 1.2])
    scores = replace(whole_scores(6), ifd=ratios)
    taken = select(scores, budget, SelectionConfig(method="ifd")).indices
    assert set(taken.tolist()) == expected
