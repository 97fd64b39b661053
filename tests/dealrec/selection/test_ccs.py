"""Coverage-centric selection: DEALRec's draws over strata, of any difficulty."""

import dataclasses

import numpy as np
import pytest

from dealrec.config import Difficulty, SelectionConfig
from dealrec.selection.interface import HARD_PRUNED
from dealrec.selection.select import select
from tests.dealrec.selection.inputs import whole_scores


@pytest.mark.parametrize("difficulty", Difficulty)
def test_the_hardest_share_is_dropped(difficulty):
    scores = whole_scores(200)
    config = SelectionConfig(method="ccs", difficulty=difficulty, hard_prune=0.2)
    dropped = select(scores, 50, config).stratum == HARD_PRUNED
    values = getattr(scores, difficulty.value)
    assert dropped.sum() == 40
    assert values[dropped].min() > values[~dropped].max()


def test_strata_are_of_equal_width_and_crowded_ones_give_no_more_than_others():
    hard = np.concatenate([np.linspace(0, 0.24, 900), np.linspace(0.25, 1, 100)])
    scores = dataclasses.replace(whole_scores(1000), el2n=hard)
    strata = select(
        scores, 80, SelectionConfig(method="ccs", difficulty="el2n", strata=4, hard_prune=0)
    ).strata
    assert np.allclose([use.high - use.low for use in strata], 0.25)
    assert strata[0].available == 900
    assert [use.selected for use in strata] == [20, 20, 20, 20]


def test_it_is_dealrec_over_the_difficulty():
    scores = whole_scores(300)
    ours = dataclasses.replace(scores, influence=scores.el2n)
    same = SelectionConfig(method="dealrec", effort_weight=0)
    assert np.array_equal(
        select(scores, 60, SelectionConfig(method="ccs", difficulty="el2n")).indices,
        select(ours, 60, same).indices,
    )
