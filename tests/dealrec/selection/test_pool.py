"""Selection where only some samples, the candidates, have effort."""

import numpy as np
import pyarrow as pa
import pytest

from dealrec.config import SelectionConfig, SelectionMethod
from dealrec.errors import InputError
from dealrec.selection.interface import NOT_CANDIDATE, Scores
from dealrec.selection.select import select

N = 40
MASK = np.arange(N) % 4 == 0
CONFIG = SelectionConfig(method="dealrec", strata=3)


def scores():
    effort = np.where(MASK, np.arange(N, dtype=float), np.nan)
    keys = pa.array([f"u{number:02}" for number in range(N)])
    return Scores(keys, np.linspace(0, 1, N), effort, MASK)


@pytest.mark.parametrize("budget", [1, 5, 10])
def test_only_candidates_are_selected(budget):
    selection = select(scores(), budget, CONFIG)
    assert len(selection.indices) == budget
    assert MASK[selection.indices].all()
    assert (selection.stratum[~MASK] == NOT_CANDIDATE).all()
    assert (selection.stratum[MASK] != NOT_CANDIDATE).all()
    assert np.isfinite(selection.overall).all()
    assert sum(use.available for use in selection.strata) <= MASK.sum()


def test_a_budget_above_the_pool_is_refused():
    with pytest.raises(InputError, match="10 candidates") as refusal:
        select(scores(), 11, CONFIG)
    assert refusal.value.code == "budget_above_candidates"


def test_random_needs_no_effort_and_draws_from_all():
    config = SelectionConfig(method=SelectionMethod.RANDOM)
    taken = select(scores(), 20, config).indices
    without = Scores(scores().keys, scores().influence, None)
    np.testing.assert_array_equal(taken, select(without, 20, config).indices)


def test_a_candidate_without_effort_is_refused_by_name():
    effort = scores().effort.copy()
    effort[8] = np.nan
    with pytest.raises(InputError, match="u08"):
        Scores(scores().keys, scores().influence, effort, MASK)
