"""The two halves of the validation users: scores look at one, an evaluation asks the other.

A selection that aims at what validation users chose, and is then measured by asking the same users
for the same choices, is measured on known answers.
"""

from enum import StrEnum
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from dealrec.config import Split
from dealrec.data.dataset import SPLIT_CODES, Dataset, Int64
from dealrec.data.parts import restricted

HALVED = "The selection looked at one half of the validation users, and the other half is asked."


class Half(StrEnum):
    """One half of the validation users."""

    AIMED = "aimed"
    """Training and scores look at their validation items."""
    ASKED = "asked"
    """An evaluation asks for their validation items."""


def with_validation_of(dataset: Dataset, half: Half) -> Dataset:
    """Leave out what users of the other half chose after training.

    Users with a validation item are ordered by a hash (BLAKE2b) of their ids, whatever the order of
    rows; the first half is aimed at. All training interactions stay.
    """
    held_out = dataset.splits != SPLIT_CODES[Split.TRAIN]
    users = dataset.users()
    asked = np.unique(users[dataset.splits == SPLIT_CODES[Split.VALID]])
    ordered = asked[np.argsort(_hashes(dataset, asked.astype(np.int64)), kind="stable")]
    aimed = (len(ordered) + 1) // 2
    others = ordered[aimed:] if half is Half.AIMED else ordered[:aimed]
    return restricted(dataset, ~(held_out & np.isin(users, others)))


def _hashes(dataset: Dataset, users: Int64) -> np.typing.NDArray[np.uint64]:
    ids = dataset.user_ids.take(pa.array(users)).cast(pa.binary()).to_pylist()
    digests = b"".join(blake2b(one, digest_size=8).digest() for one in ids)
    return np.frombuffer(digests, dtype="<u8")
