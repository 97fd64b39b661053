"""Whose rows a surrogate learns again when it goes on."""

from dataclasses import replace

import numpy as np
import pytest

from dealrec.config import Split, SurrogateConfig
from dealrec.data.dataset import SPLIT_CODES
from dealrec.surrogates.growing import EarlierSurrogate
from dealrec.surrogates.repeating import Repetition
from dealrec.surrogates.shares import drawn_users
from dealrec.surrogates.training import train_surrogate
from tests.dealrec.surrogates.data import ring_dataset

NOW = ring_dataset(users=40, items=9)
TRAIN = NOW.splits == SPLIT_CODES[Split.TRAIN]


@pytest.fixture(scope="module")
def before():
    """The version before: users 0 and 1 have a row less, and a row of user 2 was held out."""
    last = [np.flatnonzero(TRAIN & (NOW.users() == user))[-1] for user in range(3)]
    splits = NOW.splits.copy()
    splits[last[2]] = SPLIT_CODES[Split.VALID]
    kept = np.ones(NOW.n_interactions, bool)
    kept[last[:2]] = False
    return replace(NOW, splits=splits).restricted(kept, sha256="0")


def test_users_with_new_training_rows_are_learned_and_a_share_of_the_others(before):
    for replay in (0.0, 0.5, 1.0):
        found = Repetition.draw(before, NOW, replay)
        assert np.flatnonzero(found.changed).tolist() == [0, 1, 2]
        assert found.learned[:3].all()
        assert abs(found.learned[3:].mean() - replay) < 0.25
        part = found.part(NOW)
        left_out = found.left_out(NOW)
        assert np.array_equal(left_out, TRAIN & ~found.learned[NOW.users()])
        assert part.n_interactions == NOW.n_interactions - left_out.sum()
        told = found.account(NOW)
        assert told["users_changed"] + told["users_repeated"] + told["users_left_out"] == 40
        assert told["interactions_left_out"] == left_out.sum()
    other = Repetition.draw(before, replace(NOW, sha256="1"), 0.5)
    assert not np.array_equal(other.learned, Repetition.draw(before, NOW, 0.5).learned)


def test_where_nothing_would_be_learned_all_is(before):
    assert Repetition.draw(NOW, NOW, 0.0).whole
    assert not Repetition.draw(before, NOW, 0.0).whole


def test_a_training_that_goes_on_reads_these_users_alone(before):
    config = SurrogateConfig(hidden_size=8, max_length=6, epochs=1, patience=1)
    first = train_surrogate(before, config)
    again = Repetition.draw(before, NOW, 0.0)
    on = train_surrogate(NOW, config, start=EarlierSurrogate(first, NOW.item_ids, again))
    assert on.metrics["trained_users"] == 3
    whole = train_surrogate(NOW, config, start=EarlierSurrogate(first, NOW.item_ids))
    assert "trained_users" not in whole.metrics
    identities = {EarlierSurrogate(first, NOW.item_ids, one).sha256 for one in (again, None)}
    assert len(identities) == 2  # a checkpoint of one is none of the other


def test_where_a_share_of_users_leaves_nobody_who_changed_the_share_is_learned(before):
    config = SurrogateConfig(hidden_size=8, max_length=6, epochs=1, user_share=0.3)
    found = Repetition.draw(before, NOW, 0.0)
    left = [seed for seed in range(9) if not drawn_users(NOW, 0.3, seed)[found.learned].any()]
    config = config.model_copy(update={"seed": left[0]})
    first = train_surrogate(before, config)
    on = train_surrogate(NOW, config, start=EarlierSurrogate(first, NOW.item_ids, found))
    assert on.metrics["trained_users"] == drawn_users(NOW, 0.3, left[0]).sum()
