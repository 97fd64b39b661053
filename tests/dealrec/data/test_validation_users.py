"""The half of the validation users that scores look at, and the half that is asked."""

import numpy as np

from dealrec.config import Split
from dealrec.data.dataset import SPLIT_CODES
from dealrec.data.validation_users import Half, with_validation_of
from tests.dealrec.data.files import ingest_bytes

TRAIN, VALID, TEST = (SPLIT_CODES[split] for split in Split)


def of_rows(folder, users):
    """Each user has two training items, and the users of even numbers a validation and a test item."""
    rows = []
    for user in users:
        parts = ["train", "train", *(["valid", "test"] if user % 2 == 0 else [])]
        rows += [f"u{user},i{place},{place},{part}\n" for place, part in enumerate(parts)]
    folder.mkdir()
    content = f"user_id,item_id,position,split\n{''.join(rows)}".encode()
    return ingest_bytes(folder, content).dataset


def held_out(dataset):
    """The ids of the users with an item that is not for training."""
    users = np.unique(dataset.users()[dataset.splits != TRAIN])
    return set(dataset.user_ids.take(users.astype(np.int64)).to_pylist())


def test_every_validation_user_is_in_one_half_whatever_the_order_of_rows(tmp_path):
    halves = []
    for name, users in (("a", range(30)), ("b", range(29, -1, -1))):
        dataset = of_rows(tmp_path / name, users)
        halves.append([held_out(with_validation_of(dataset, half)) for half in Half])
    aimed, asked = halves[0]
    assert halves[1] == halves[0]
    assert aimed | asked == {f"u{user}" for user in range(0, 30, 2)}
    assert not aimed & asked
    assert (len(aimed), len(asked)) == (8, 7)


def test_training_stays_whole_and_what_is_kept_has_a_hash_of_its_own(tmp_path):
    dataset = of_rows(tmp_path / "data", range(10))
    halves = [with_validation_of(dataset, half) for half in Half]
    for half in halves:
        assert half.n_users == dataset.n_users
        assert (half.splits == TRAIN).sum() == (dataset.splits == TRAIN).sum()
        assert (half.splits == VALID).sum() == (half.splits == TEST).sum() > 0
    assert len({dataset.sha256, *(half.sha256 for half in halves)}) == 3
