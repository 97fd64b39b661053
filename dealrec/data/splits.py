"""How interactions are divided into training, validation and test."""

import numpy as np

from dealrec.config import Split, SplitMethod
from dealrec.data.dataset import SPLIT_CODES, Int8, Int64

_TRAIN, _VALID, _TEST = (SPLIT_CODES[part] for part in (Split.TRAIN, Split.VALID, Split.TEST))


def default_method(*, has_split: bool, has_timestamps: bool) -> SplitMethod:
    """The file's own split, else by time, else leave-one-out."""
    if has_split:
        return SplitMethod.COLUMN
    return SplitMethod.GLOBAL_TIME if has_timestamps else SplitMethod.LEAVE_ONE_OUT


def global_time(by_time: Int64) -> Int8:
    """[N] the first 80 % of ``by_time`` (row indices, oldest first) train, 10 % valid, 10 % test."""
    n = len(by_time)
    splits = np.full(n, _TEST, np.int8)
    splits[by_time[: n * 9 // 10]] = _VALID
    splits[by_time[: n * 8 // 10]] = _TRAIN
    return splits


def leave_one_out(offsets: Int64) -> Int8:
    """[N] each user's last interaction is test, the one before it validation.

    Users with fewer than three interactions keep all of them for training.
    """
    splits = np.full(int(offsets[-1]), _TRAIN, np.int8)
    ends = offsets[1:][np.diff(offsets) >= 3]
    splits[ends - 1] = _TEST
    splits[ends - 2] = _VALID
    return splits
