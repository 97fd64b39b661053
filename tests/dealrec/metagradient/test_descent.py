"""Metagradient descent lowers the risk that it aims at."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dealrec.config import SelectionConfig
from dealrec.errors import Cancelled
from dealrec.metagradient.descent import Descent, Round, exchanged, starting_training
from dealrec.metagradient.encoder import titles_of_users
from dealrec.metagradient.risk import ValidationRisk
from dealrec.progress import Silent
from dealrec.selection.select import select
from tests.dealrec.metagradient.test_training import SAMPLES, training
from tests.dealrec.selection.inputs import whole_scores

METHOD = {"method": "metagradient", "training_epochs": 4, "rounds": 3}
CONFIG = SelectionConfig.model_validate(METHOD)


class Listening(Silent):
    """Keeps points, and cancels before step ``last``."""

    def __init__(self, last=None):
        self.points, self._last = [], last

    def point(self, name, step, value):
        self.points.append((name, step, value))

    def progress(self, done, total, unit):
        if done == self._last:
            raise Cancelled("It was cancelled.")


def start():
    members = np.zeros(SAMPLES, bool)
    members[::5] = True
    return members


def test_exchanges_lower_the_risk_of_the_users_that_are_aimed_at():
    made, risk = training(rate=0.05)
    rounds = list(Descent(made, risk, exchanges=4, trainings=2).rounds(start()))
    assert min(one.risk for one in rounds) < rounds[0].risk - 0.02
    assert {int(one.members.sum()) for one in rounds} == {10}


def test_the_worst_members_leave_for_better_others_and_for_no_worse_ones():
    members = np.array([True, True, True, False, False, False])
    slopes = np.array([0.5, -0.2, 0.1, -0.4, 0.3, 0.0])
    found = Round(members, 1.0, slopes)
    assert exchanged(found, 0.4).tolist() == [False, True, True, True, False, False]
    assert exchanged(found, 1.0).tolist() == [False, True, False, True, False, True]
    assert (
        exchanged(replace(found, slopes=-members.astype(float)), 1.0).tolist() == members.tolist()
    )


def test_the_coreset_with_the_lowest_risk_of_all_rounds_is_taken():
    heard, scores = Listening(), whole_scores(40)
    scores = scores.take(scores.key_order())
    taken = select(scores, 8, CONFIG, heard).indices
    assert [name for name, _, _ in heard.points] == ["validation_preference"] * 4
    gains = [value for _, _, value in heard.points]
    made = starting_training(scores.titles, CONFIG)
    asked = titles_of_users(made.titles, scores.titles.validation, made.config.encoder.decay)
    seed = np.random.default_rng([CONFIG.seed, int(np.argmax(gains)), 0]).integers(2**31)
    members = torch.from_numpy(taken)
    state, _ = made.with_seed(int(seed)).run(members, members[:0])
    found = ValidationRisk(asked)
    assert found.chance - float(found(state.parameters)) == pytest.approx(max(gains), abs=1e-5)
    assert len(set(gains)) == 4


def test_a_cancel_is_heard_between_steps():
    with pytest.raises(Cancelled):
        select(whole_scores(40), 8, SelectionConfig(**METHOD), Listening(last=5))


def test_no_more_samples_are_looked_at_than_the_pool_holds():
    scores = whole_scores(60)
    chosen = select(scores, 8, SelectionConfig(**METHOD, pool=40))
    assert {use.index: (use.available, use.selected) for use in chosen.strata} == {
        0: (20, 0),
        1: (40, 8),
    }
    assert not chosen.overall[chosen.stratum == 0].any()
    again = select(scores, 15, SelectionConfig(**METHOD, pool=40))
    assert [use.available for use in again.strata] == [60]
