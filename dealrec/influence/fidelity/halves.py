"""Data sets with some users of another one: random halves, and a small problem for full retraining."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dealrec.config import Split
from dealrec.data.dataset import SPLIT_CODES, Dataset, Int64
from dealrec.data.parts import restricted

Bools = npt.NDArray[np.bool_]


def random_halves(candidates: Int64, n_users: int, count: int, seed: int) -> Bools:
    """Draw ``count`` random halves of ``candidates``, ``floor(len / 2)`` users each.

    The result, [count, n_users], says whether a user is in each half.
    """
    generator = np.random.default_rng(seed)
    members = np.zeros((count, n_users), dtype=np.bool_)
    for half in members:
        half[generator.permutation(candidates)[: len(candidates) // 2]] = True
    return members


def training_of(dataset: Dataset, members: Bools) -> Dataset:
    """Restrict a data set to the training interactions of some users ([U] bool), in the same indices.

    The result has no validation split, so a surrogate trains on it for all its epochs. Early stopping
    would depend on the very losses that are to be predicted.
    """
    kept = members[dataset.users()] & (dataset.splits == SPLIT_CODES[Split.TRAIN])
    return restricted(dataset, kept)


def small_problem(dataset: Dataset, users: int) -> Dataset:
    """Restrict a data set to at most ``users`` users with a sample, spread evenly, in all splits.

    Users with a validation item are preferred, since their risk is measured. Items without an
    interaction are left out.
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
    small = restricted(dataset, members[dataset.users()])
    items, renamed = np.unique(small.items, return_inverse=True)
    return replace(
        small,
        item_ids=small.item_ids.take(items),
        titles=small.titles.take(items),
        item_texts={},
        items=renamed.astype(np.int32),
    )
