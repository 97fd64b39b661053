"""A surrogate that learns from a part of the data."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dealrec.config import SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.errors import InputError
from dealrec.progress import Silent
from dealrec.surrogates.shares import learned_part
from dealrec.surrogates.training import train_surrogate
from tests.dealrec.surrogates.data import ring_dataset

DATASET = replace(
    ring_dataset(users=400),
    times=np.random.default_rng(0).integers(0, 50, ring_dataset(users=400).n_interactions),
)


def training_users(dataset):
    return set(dataset.users()[dataset.splits == 0].tolist())


def test_a_larger_share_of_users_has_all_of_a_smaller_one_and_nothing_held_out_is_lost():
    parts = [learned_part(DATASET, SurrogateConfig(user_share=share)) for share in (0.1, 0.5, 0.9)]
    users = [training_users(part) for part in parts]
    assert users[0] < users[1] < users[2] < training_users(DATASET)
    assert [len(one) / 400 for one in users] == pytest.approx([0.1, 0.5, 0.9], abs=0.06)
    for part, own in zip(parts, users, strict=True):
        assert (part.splits > 0).sum() == (DATASET.splits > 0).sum()
        kept = (DATASET.splits == 0) & np.isin(DATASET.users(), list(own))
        assert np.array_equal(part.items[part.splits == 0], DATASET.items[kept])
    other = learned_part(DATASET, SurrogateConfig(user_share=0.5, seed=1))
    assert training_users(other) != users[1]


def test_recent_interactions_are_the_newest_with_all_that_are_as_old_as_the_oldest():
    part = learned_part(DATASET, SurrogateConfig(recent_share=0.25))
    training = DATASET.splits == 0
    assert part.times is not None and DATASET.times is not None
    kept, times = part.times[part.splits == 0], np.sort(DATASET.times[training])
    since = times[-int(np.ceil(0.25 * len(times)))]
    assert len(kept) == (times >= since).sum()
    assert kept.min() == since


def test_both_shares_take_the_newest_of_the_drawn_users():
    part = learned_part(DATASET, SurrogateConfig(user_share=0.5, recent_share=0.5))
    drawn = learned_part(DATASET, SurrogateConfig(user_share=0.5))
    assert training_users(part) <= training_users(drawn)
    assert (part.splits == 0).sum() >= 0.5 * (drawn.splits == 0).sum()


def test_everything_is_the_data_set_itself_and_times_are_asked_for_only_where_they_are_needed():
    assert learned_part(DATASET, SurrogateConfig()) is DATASET
    with pytest.raises(InputError, match="does not have") as error:
        learned_part(ring_dataset(), SurrogateConfig(recent_share=0.5))
    assert error.value.code == "no_timestamps"


class Events(Silent):
    def __init__(self):
        self.told = {}

    def event(self, kind, **data):
        self.told[kind] = data


def test_training_says_from_how_much_it_learned_and_learns_no_item_it_did_not_see():
    config = SurrogateConfig(hidden_size=8, epochs=1, user_share=0.02, negatives=4)
    reporter = Events()
    trained = train_surrogate(DATASET, config, runtime=Runtime(device="cpu"), reporter=reporter)
    part = learned_part(DATASET, config)
    own = part.items[part.splits == 0]
    expected = {
        "users": len(training_users(part)),
        "items": len(set(own.tolist())),
        "interactions": len(own),
    }
    assert reporter.told["trained_on_a_part"] == expected
    assert all(trained.metrics[f"trained_{name}"] == n for name, n in expected.items())
    everything = train_surrogate(
        DATASET, config.model_copy(update={"user_share": 1.0}), runtime=Runtime(device="cpu")
    )
    assert not any(name.startswith("trained_") for name in everything.metrics)
    assert not torch.equal(everything.model.item_vectors(), trained.model.item_vectors())


def test_options_that_are_not_used_are_in_no_key():
    """What was kept before these options came is found again."""
    assert not {"user_share", "recent_share", "neighbours"} & set(SurrogateConfig().model_dump())
    assert SurrogateConfig(user_share=0.5).model_dump()["user_share"] == 0.5
