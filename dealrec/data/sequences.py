"""From rows in file order to the sequences of users in the order of time."""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dealrec.config import SplitMethod
from dealrec.data.dataset import Int8, Int32, Int64
from dealrec.data.interactions import Interactions
from dealrec.data.splits import global_time, leave_one_out, time_cuts

Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Sequences:
    """``N`` interactions ordered by user and then by time, as :class:`Dataset` holds them."""

    offsets: Int64
    items: Int32
    splits: Int8
    times: Int64 | None
    repeated: Int64
    """Indices of the given interactions that were left out as repetitions."""
    tied: int
    """The number of interactions whose user and keys of order are those of another one."""


def arrange(raw: Interactions, method: SplitMethod) -> Sequences:
    """Order interactions by timestamp, position and file row, leave out repetitions, and split.

    A row repeats an earlier one when its user, item, timestamp and position are the same. Where
    ``global_time`` ends a split at a time that several rows have, hashes of their users and items
    decide, not the order of rows.
    """
    keys = [*reversed(raw.order), raw.users]
    by_user = np.lexsort(keys)  # a stable sort: ties stay in the order of the file
    tied, run = _tied(raw, by_user)
    repeated = _repetitions(raw, by_user, tied, run)
    if len(repeated):
        gone = np.zeros(len(raw.users), bool)
        gone[repeated] = True
        by_user = by_user[~gone[by_user]]
        tied, _ = _tied(raw, by_user)
    lengths = np.bincount(raw.users[by_user], minlength=len(raw.user_ids))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    match method:
        case SplitMethod.COLUMN:
            assert raw.splits is not None
            splits = raw.splits[by_user]
        case SplitMethod.LEAVE_ONE_OUT:
            splits = leave_one_out(offsets)
        case SplitMethod.GLOBAL_TIME:
            splits = _global_time(raw, by_user)
    times = None if raw.times is None else raw.times[by_user]
    return Sequences(offsets, raw.items[by_user], splits, times, repeated, int(tied.sum()))


def _global_time(raw: Interactions, by_user: Int64) -> Int8:
    kept = np.sort(by_user)
    by_time = kept[np.lexsort([values[kept] for values in reversed(raw.order)])]
    place = np.empty(len(raw.users), np.int64)
    place[by_user] = np.arange(len(by_user))
    return global_time(place[_told_apart(raw, by_time)])


def _told_apart(raw: Interactions, by_time: Int64) -> Int64:
    """Order rows with the time at which training or validation ends by hashes of user and item.

    So the split does not depend on the order of rows, nor does it prefer some ids to others.
    """
    later = np.zeros(len(by_time), bool)  # whether a row's time is after that of the row before
    for values in raw.order:
        later[1:] |= values[by_time[1:]] != values[by_time[:-1]]
    runs = np.cumsum(later)
    for cut in time_cuts(len(by_time)):
        if not cut or later[cut]:
            continue
        here = np.flatnonzero(runs == runs[cut])
        rows = by_time[here]
        keys = _hashes(raw.item_ids, raw.items[rows]), _hashes(raw.user_ids, raw.users[rows])
        by_time[here] = rows[np.lexsort(keys)]
    return by_time


def _hashes(ids: pa.Array, indices: Int32) -> npt.NDArray[np.uint64]:
    """Return a hash (BLAKE2b) of each index's id."""
    used, places = np.unique(indices, return_inverse=True)
    texts = ids.take(pa.array(used)).cast(pa.binary()).to_pylist()
    digests = b"".join(blake2b(text, digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, dtype="<u8")[places]


def _tied(raw: Interactions, by_user: Int64) -> tuple[Bool, Int64]:
    """Find rows with the user and order of another row: [N] whether, and the run of the tied ones."""
    same = np.ones(max(len(by_user) - 1, 0), bool)
    for values in (raw.users, *raw.order):
        same &= values[by_user[1:]] == values[by_user[:-1]]
    if not same.any():
        return np.zeros(len(by_user), bool), np.empty(0, np.int64)
    tied = np.concatenate([same, [False]]) | np.concatenate([[False], same])
    return tied, np.cumsum(~np.concatenate([[False], same]))[tied]


def _repetitions(raw: Interactions, by_user: Int64, tied: Bool, run: Int64) -> Int64:
    """Find rows with the user, item and order of an earlier row, among runs of tied rows."""
    if not len(run):
        return np.empty(0, np.int64)
    rows = by_user[tied]
    items = raw.items[rows]
    order = np.lexsort((rows, items, run))
    again = (np.diff(run[order]) == 0) & (np.diff(items[order]) == 0)
    return np.sort(rows[order[1:]][again])
