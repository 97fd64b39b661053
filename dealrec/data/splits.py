"""The division of interactions into training, validation and test."""

import numpy as np

from dealrec.config import Split, SplitMethod
from dealrec.data.dataset import SPLIT_CODES, Int8, Int64

SPLIT_NAMES = {
    "train": SPLIT_CODES[Split.TRAIN],
    "valid": SPLIT_CODES[Split.VALID],
    "validation": SPLIT_CODES[Split.VALID],
    "val": SPLIT_CODES[Split.VALID],
    "dev": SPLIT_CODES[Split.VALID],
    "test": SPLIT_CODES[Split.TEST],
}
"""The codes of the words that people write into a column ``split``."""
_TRAIN, _VALID, _TEST = (SPLIT_CODES[part] for part in (Split.TRAIN, Split.VALID, Split.TEST))


def default_method(*, has_split: bool, has_timestamps: bool) -> SplitMethod:
    """Choose the split method: the file's own split, else by time, else leave-one-out."""
    if has_split:
        return SplitMethod.COLUMN
    return SplitMethod.GLOBAL_TIME if has_timestamps else SplitMethod.LEAVE_ONE_OUT


def time_cuts(count: int) -> tuple[int, int]:
    """Return where training and validation end among ``count`` interactions, oldest first."""
    return count * 8 // 10, count * 9 // 10


def global_time(by_time: Int64) -> Int8:
    """Split by time: the oldest 80 % are training, the next 10 % validation, the last 10 % test.

    Args:
        by_time: [N] row indices, oldest first.

    Returns:
        [N] codes of ``SPLIT_CODES``.
    """
    training, validation = time_cuts(len(by_time))
    splits = np.full(len(by_time), _TEST, np.int8)
    splits[by_time[:validation]] = _VALID
    splits[by_time[:training]] = _TRAIN
    return splits


def leave_one_out(offsets: Int64) -> Int8:
    """Split each user's sequence: the last interaction is test, the one before it validation.

    Users with fewer than three interactions keep all of them for training.

    Args:
        offsets: [U + 1] bounds of each user's interactions.

    Returns:
        [N] codes of ``SPLIT_CODES``.

    Examples:
        >>> leave_one_out(np.array([0, 4, 6])).tolist()  # a user with four interactions, one with two
        [0, 0, 1, 2, 0, 0]
    """
    splits = np.full(int(offsets[-1]), _TRAIN, np.int8)
    ends = offsets[1:][np.diff(offsets) >= 3]
    splits[ends - 1] = _TEST
    splits[ends - 2] = _VALID
    return splits
