"""From rows in the order of a file to the sequences of users in the order of time."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dealrec.config import SplitMethod
from dealrec.data.dataset import Float32, Int8, Int32, Int64
from dealrec.data.interactions import Interactions
from dealrec.data.splits import global_time, leave_one_out, time_cuts

Bool = npt.NDArray[np.bool_]
_FEW = 0.02
"""The share of falling steps up to which rows count as ordered already."""


@dataclass(frozen=True)
class Sequences:
    """``N`` interactions ordered by user and then by time, as :class:`Dataset` holds them."""

    offsets: Int64
    items: Int32
    splits: Int8
    times: Int64 | None
    ratings: Float32 | None
    tied: int
    """The number of interactions whose user and keys of order are those of another one."""


def in_order(raw: Interactions) -> tuple[Interactions, Int64]:
    """Order interactions by user, timestamp and position, and leave out repetitions.

    A row repeats another one when its user, item, timestamp and position are the same. Of such rows the
    one whose split comes first stays, then the one with the highest rating, and else the first in the file.
    A user's interactions with different items at the same time are ordered by hashes of the items' ids: so
    the result does not depend on the order of rows, and no kind of id comes first.

    Returns:
        The interactions in order, and the rows in the file of those that were left out.
    """
    by_user = _by_user(raw)
    tied, run = _tied(raw, by_user)
    gone = np.zeros(len(by_user), bool)
    if len(run):
        rows = by_user[tied]
        items = raw.items[rows]
        splits = np.zeros(len(rows), np.int8) if raw.splits is None else raw.splits[rows]
        ratings = np.zeros(len(rows)) if raw.ratings is None else -raw.ratings[rows]
        order = np.lexsort((rows, ratings, splits, items, _hashes(raw.item_ids, items), run))
        by_user[tied] = rows[order]
        again = (np.diff(run[order]) == 0) & (np.diff(items[order]) == 0)
        gone[np.flatnonzero(tied)[1:][again]] = True
    repeated = np.sort(raw.rows[by_user[gone]])
    return raw.take(by_user[~gone]), repeated


def _by_user(raw: Interactions) -> Int64:
    """[N] rows by user and keys of order; those that have all of them in common stand in any order."""
    if len(raw.order) == 1 and raw.keys[0].dtype == np.int64 and len(raw.users):
        first = int(raw.keys[0].min())
        span = int(raw.keys[0].max()) - first + 1
        if span * len(raw.user_ids) < 2**63:  # one number a row is sorted several times as fast
            keys = raw.users.astype(np.int64) * span + (raw.keys[0] - first)
            falls = np.count_nonzero(keys[1:] < keys[:-1])
            # Two ordered runs, as those of a version and of what is appended, are merged in one pass.
            kind: Literal["stable", "quicksort"] = (
                "stable" if falls < len(keys) * _FEW else "quicksort"
            )
            return np.argsort(keys, kind=kind).astype(np.int64)
    return np.lexsort([*reversed(raw.keys), raw.users]).astype(np.int64)


def arrange(raw: Interactions, method: SplitMethod) -> Sequences:
    """Split interactions that :func:`in_order` gave into training, validation and test.

    Where ``global_time`` ends a split at a time that several rows have, hashes of their users and items
    decide, not the order of rows.
    """
    lengths = np.bincount(raw.users, minlength=len(raw.user_ids))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    match method:
        case SplitMethod.COLUMN:
            assert raw.splits is not None
            splits = raw.splits
        case SplitMethod.LEAVE_ONE_OUT:
            splits = leave_one_out(offsets)
        case SplitMethod.GLOBAL_TIME:
            splits = global_time(_by_time(raw))
    tied, _ = _tied(raw, None)
    return Sequences(offsets, raw.items, splits, raw.times, raw.ratings, int(tied.sum()))


def _by_time(raw: Interactions) -> Int64:
    """[N] rows, oldest first as far as the ends of training and validation need it.

    Rows with the time at which one of them ends are ordered by hashes of user and item. So the split does not
    depend on the order of rows, nor does it prefer some ids to others.
    """
    moments = _moments(raw)
    cuts = time_cuts(len(moments))
    by_time = np.argpartition(moments, cuts)
    for cut in cuts:
        here = np.flatnonzero(moments[by_time] == moments[by_time[cut]])
        rows = by_time[here]
        keys = _hashes(raw.item_ids, raw.items[rows]), _hashes(raw.user_ids, raw.users[rows])
        by_time[here] = rows[np.lexsort(keys)]
    return by_time


def _moments(raw: Interactions) -> npt.NDArray[np.int64 | np.float64]:
    """[N] one number a row, in the order of the keys of order."""
    if len(raw.order) == 1:
        return raw.keys[0]
    order = np.lexsort([*reversed(raw.keys)]) if raw.order else np.arange(len(raw.users))
    later = np.zeros(len(order), bool)  # whether a row's time is after that of the row before
    for values in raw.keys:
        later[1:] |= np.diff(values[order]) != 0
    moments = np.empty(len(order), np.int64)
    moments[order] = np.cumsum(later)
    return moments


def _hashes(ids: pa.Array, indices: Int32) -> npt.NDArray[np.uint64]:
    """A hash (BLAKE2b, 8 bytes) of the id at each of ``indices`` [n]."""
    used, places = np.unique(indices, return_inverse=True)
    texts = ids.take(pa.array(used)).to_pylist()
    digests = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, dtype="<u8")[places]


def _tied(raw: Interactions, by_user: Int64 | None) -> tuple[Bool, Int64]:
    """Find rows with the user and order of another row: [N] whether, and the run of the tied ones.

    ``by_user`` [N] are the rows by user and order; without it they stand so.
    """
    same = np.ones(max(len(raw.users) - 1, 0), bool)
    for values in (raw.users, *raw.keys):
        ordered = values if by_user is None else values[by_user]
        same &= ordered[1:] == ordered[:-1]
    if not same.any():
        return np.zeros(len(raw.users), bool), np.empty(0, np.int64)
    tied = np.concatenate([same, [False]]) | np.concatenate([[False], same])
    return tied, np.cumsum(~np.concatenate([[False], same]))[tied]
