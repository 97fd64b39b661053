"""Data sets of some users of another: random halves, and a small problem to retrain in full."""

import hashlib
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dealrec.config import Split
from dealrec.data.dataset import SPLIT_CODES, Dataset, Int64

Bools = npt.NDArray[np.bool_]


def random_halves(candidates: Int64, n_users: int, count: int, seed: int) -> Bools:
    """[count, n_users] whether a user is in each half: ``floor(len / 2)`` of ``candidates``, at random."""
    generator = np.random.default_rng(seed)
    members = np.zeros((count, n_users), dtype=np.bool_)
    for half in members:
        half[generator.permutation(candidates)[: len(candidates) // 2]] = True
    return members


def training_of(dataset: Dataset, members: Bools) -> Dataset:
    """The training interactions of some users ([U] whether), in the same dense indices.

    There is no validation split, so a surrogate is trained on it for all its epochs: early stopping
    would look at the very losses that are to be predicted.
    """
    kept = members[dataset.users()] & (dataset.splits == SPLIT_CODES[Split.TRAIN])
    return _restricted(dataset, kept)


def small_problem(dataset: Dataset, users: int) -> Dataset:
    """At most ``users`` users with a sample, spread evenly, all splits; items that they lack are left out.

    Users with a validation item come first, since it is their risk that is measured.
    """
    train, valid = (
        np.diff(dataset.subsequences((SPLIT_CODES[split],))[0])
        for split in (Split.TRAIN, Split.VALID)
    )
    usable = np.flatnonzero((train >= 2) & (valid > 0))
    if len(usable) < min(users, 2):
        usable = np.flatnonzero(train >= 2)
    count = min(users, len(usable))
    members = np.zeros(dataset.n_users, dtype=np.bool_)
    members[usable[np.arange(count) * len(usable) // max(1, count)]] = True
    small = _restricted(dataset, members[dataset.users()])
    items, renamed = np.unique(small.items, return_inverse=True)
    return replace(
        small,
        item_ids=small.item_ids.take(items),
        titles=small.titles.take(items),
        item_texts={},
        items=renamed.astype(np.int32),
    )


def _restricted(dataset: Dataset, kept: Bools) -> Dataset:
    """The interactions that are ``kept`` ([N]); users without one keep their index."""
    before = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
    digest = hashlib.sha256(dataset.sha256.encode() + np.packbits(kept).tobytes())
    return replace(
        dataset,
        offsets=before[dataset.offsets],
        items=dataset.items[kept],
        splits=dataset.splits[kept],
        sha256=digest.hexdigest(),
    )
