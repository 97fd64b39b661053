"""Measures how far a version of a data set has drifted from the one before it."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from dealrec.data.appended import Drift
from dealrec.data.dataset import Dataset
from dealrec.selection.recency import weights_by_age

Float64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def drift(before: Dataset, now: Dataset) -> Drift:
    """Measure the drift of ``now``, the next version, from ``before``.

    Every interaction counts as a target with the weight ``2^(−age / half-life)``. Ages are measured from
    the newest interaction of each version. Both versions have the same half-life: the age that the newest
    tenth of the interactions of ``before`` do not exceed, as in the selector ``recent_popular``. Without
    timestamps all interactions weigh the same.

    The distance is the square root of the Jensen-Shannon divergence in bits (Endres and Schindelin, IEEE
    Transactions on Information Theory 49, 2003): 0 for equal distributions, and 1 for distributions that
    share no item. Unlike the divergence it is a metric, so the drift of several versions can be added up.
    """
    at = pc.index_in(before.item_ids, value_set=now.item_ids)
    lost = at.is_null().to_numpy(zero_copy_only=False)
    places = at.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    places[lost] = now.n_items + np.arange(int(lost.sum()))
    size = now.n_items + int(lost.sum())
    had = np.bincount(places[before.items], minlength=size)[: now.n_items] > 0
    has = np.bincount(now.items, minlength=now.n_items) > 0
    new = has & ~had
    came = now.n_interactions - before.n_interactions
    on_new = int(new[now.items].sum())
    distance = _distance(
        np.bincount(places[before.items], _weights(before, before), minlength=size),
        np.bincount(now.items, _weights(now, before), minlength=size),
    )
    return {
        "popularity": round(min(1.0, distance), 6),
        "new_items": round(int(new.sum()) / max(1, int(has.sum())), 6),
        "new_item_interactions": round(min(1.0, on_new / max(1, came)), 6),
    }


def new_rows(before: Dataset, now: Dataset) -> Bools:
    """Mark the rows of ``now`` [N] that ``before`` does not have.

    Rows are matched by user, item and time, because their places change when late rows are appended. If
    several rows are equal in all three, only those are new by which ``now`` has more of them than
    ``before``.
    """
    users = pc.index_in(before.user_ids, value_set=now.user_ids).fill_null(now.n_users)
    items = pc.index_in(before.item_ids, value_set=now.item_ids).fill_null(now.n_items)
    old_users = users.to_numpy(zero_copy_only=False).astype(np.int64)[before.users()]
    old_items = items.to_numpy(zero_copy_only=False).astype(np.int64)[before.items]
    pairs = np.concatenate(
        [
            old_users * (now.n_items + 1) + old_items,
            now.users().astype(np.int64) * (now.n_items + 1) + now.items,
        ]
    )
    timed = before.times is not None and now.times is not None
    times = np.concatenate([before.times, now.times]) if timed else np.zeros(len(pairs), np.int64)
    of_now = np.arange(len(pairs)) >= before.n_interactions
    order = np.lexsort((of_now, times, pairs))
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(pairs[order]) != 0) | (np.diff(times[order]) != 0)
    group = np.cumsum(first) - 1
    place = np.arange(len(order)) - np.flatnonzero(first)[group]
    had = np.bincount(group, weights=~of_now[order])[group]
    new = np.zeros(len(pairs), bool)
    new[order] = of_now[order] & (place - had >= had)
    return new[before.n_interactions :]


def _distance(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """Return the square root of the Jensen-Shannon divergence, in bits, of two mass vectors [n].

    SciPy has this function too, but loading SciPy takes longer than most appends.
    """
    p, q = one / one.sum(), other / other.sum()
    middle, parts = (p + q) / 2, 0.0
    for mass in (p, q):
        here = mass > 0
        parts += float((mass[here] * np.log2(mass[here] / middle[here])).sum())
    return float(np.sqrt(max(0.0, parts / 2)))


def _weights(dataset: Dataset, scale: Dataset) -> Float64:
    """Return the weight of each interaction [N], with the half-life of the data set ``scale``."""
    if dataset.times is None or scale.times is None:
        return np.ones(dataset.n_interactions)
    return weights_by_age(dataset.times, scale.times)
