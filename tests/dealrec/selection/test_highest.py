"""Selectors that take the highest of one score."""

import dataclasses

import numpy as np
import pytest

from dealrec.config import SelectionConfig
from dealrec.errors import InputError
from dealrec.selection.select import select
from tests.dealrec.selection.inputs import whole_scores

METHODS = ["influence", "effort", "el2n", "grand"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("few", [False, True])
def test_no_sample_left_out_is_above_one_that_is_taken(method, few):
    scores = whole_scores(200, few=few)
    values = getattr(scores, method)
    taken = select(scores, 40, SelectionConfig(method=method)).selected()
    assert values[taken].min() >= values[~taken].max()


@pytest.mark.parametrize("method", METHODS)
def test_of_equal_ones_each_is_taken_about_as_often(method):
    scores = dataclasses.replace(whole_scores(10), **{method: np.zeros(10)})
    counts = np.zeros(10)
    for seed in range(1000):
        counts[select(scores, 3, SelectionConfig(method=method, seed=seed)).indices] += 1
    assert np.abs(counts - 300).max() < 4 * np.sqrt(1000 * 0.3 * 0.7)


def test_effort_of_candidates_chooses_among_them():
    scores = whole_scores(40)
    mask = np.arange(40) % 2 == 0
    pooled = dataclasses.replace(
        scores, effort=np.where(mask, scores.effort, np.nan), candidates=mask
    )
    taken = select(pooled, 5, SelectionConfig(method="effort")).indices
    assert mask[taken].all()
    with pytest.raises(InputError, match="20 candidates"):
        select(pooled, 21, SelectionConfig(method="effort"))
