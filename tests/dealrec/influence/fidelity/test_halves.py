import numpy as np

from dealrec.config import Split
from dealrec.data.dataset import SPLIT_CODES
from dealrec.influence.fidelity.halves import random_halves, small_problem, training_of
from tests.dealrec.surrogates.data import ring_dataset

DATASET = ring_dataset(users=40, items=25)


def test_halves_have_half_of_the_candidates_and_nobody_else():
    candidates = np.arange(3, 34)
    members = random_halves(candidates, 40, 6, seed=1)
    assert members.sum(1).tolist() == [15] * 6
    assert not members[:, :3].any()
    assert not members[:, 34:].any()
    assert len({half.tobytes() for half in members}) == 6
    np.testing.assert_array_equal(members, random_halves(candidates, 40, 6, seed=1))


def test_a_half_keeps_the_training_items_of_its_users_alone():
    members = np.arange(40) % 2 == 0
    half = training_of(DATASET, members)
    train = DATASET.splits == SPLIT_CODES[Split.TRAIN]
    kept = train & members[DATASET.users()]
    np.testing.assert_array_equal(half.items, DATASET.items[kept])
    np.testing.assert_array_equal(half.users(), DATASET.users()[kept])
    assert not half.has(Split.VALID)
    assert half.n_items == DATASET.n_items
    assert half.sha256 != training_of(DATASET, ~members).sha256


def test_a_small_problem_has_the_users_asked_for_and_only_their_items():
    small = small_problem(DATASET, 7)
    assert len(np.unique(small.users())) == 7
    assert sorted(set(small.items.tolist())) == list(range(small.n_items))
    assert small.has(Split.VALID)
