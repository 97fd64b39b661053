"""Interactions of any size from a seed, made with whole-array operations.

The shape is that of a shop's log. Items are popular by a power law and belong to genres; a user
comes for a short while (so that a split by time leaves most users wholly in training, as in real
logs), stays with one genre, and often takes an item's planted successor, so that there is something
to learn. Rows stand in the order of time.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

Int64 = npt.NDArray[np.int64]

INTERACTIONS, ITEMS = "interactions.csv", "items.csv"
_GENRE_ITEMS = 200
_SUCCESSOR = 0.5
"""Chance that the next item is the planted successor of the last one."""
_LEAST, _MEAN, _MOST = 3, 10, 200
"""Interactions of a user."""
_START, _PERIOD, _VISIT = 1_600_000_000, 2 * 365 * 86_400, 0.3
"""First second, length of the log in seconds, and the share of it that a user's visit spans."""


@dataclass(frozen=True)
class Size:
    """How large a made-up data set is."""

    users: int
    items: int
    interactions: int

    @classmethod
    def of(cls, users: int) -> "Size":
        """Ten interactions a user, one item for five users."""
        return cls(users, max(_GENRE_ITEMS, users // 5), _MEAN * users)


def write_interactions(folder: Path, size: Size, seed: int = 0) -> None:
    """Write ``interactions.csv`` and ``items.csv``; the same arguments give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    lengths = _lengths(size, rng)
    items = _items(lengths, size.items, rng)
    users = np.repeat(np.arange(size.users), lengths)
    times = _times(users, size.users, rng)
    order = np.argsort(times, kind="stable")
    table = pa.table(
        {
            "user_id": _names("u", users[order]),
            "item_id": _names("i", items[order]),
            "timestamp": times[order],
        }
    )
    options = pa_csv.WriteOptions(quoting_style="none")
    pa_csv.write_csv(table, folder / INTERACTIONS, write_options=options)
    every = np.arange(size.items)
    titles = pc.binary_join_element_wise(
        _names("Volume ", every), _names("of series ", every // _GENRE_ITEMS), " "
    )
    catalogue = pa.table({"item_id": _names("i", every), "title": titles})
    pa_csv.write_csv(catalogue, folder / ITEMS, write_options=options)


def _names(prefix: str, numbers: Int64) -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar(prefix), pa.array(numbers).cast(pa.string()), "")


def _lengths(size: Size, rng: np.random.Generator) -> Int64:
    """[users] skewed, and exactly ``size.interactions`` in all."""
    weights = rng.lognormal(sigma=0.9, size=size.users)
    spare = size.interactions - _LEAST * size.users
    lengths = _LEAST + rng.multinomial(spare, weights / weights.sum())
    cut = np.maximum(lengths - _MOST, 0)
    lengths -= cut
    lengths += rng.multinomial(int(cut.sum()), np.full(size.users, 1 / size.users))
    return lengths.astype(np.int64)


def _items(lengths: Int64, n_items: int, rng: np.random.Generator) -> Int64:
    """[interactions] items, user after user: all users take their next step together."""
    starts = np.cumsum(lengths) - lengths
    genres = -(-n_items // _GENRE_ITEMS)
    genre = np.minimum((rng.random(len(lengths)) ** 2 * genres).astype(np.int64), genres - 1)
    chosen = np.empty(int(lengths.sum()), np.int64)
    active = np.arange(len(lengths))
    item = _popular(genre, n_items, rng)
    for step in range(int(lengths.max())):
        chosen[starts[active] + step] = item
        stays = lengths[active] > step + 1
        active, item = active[stays], item[stays]
        first = genre[active] * _GENRE_ITEMS
        within = np.minimum(_GENRE_ITEMS, n_items - first)
        successor = first + (item - first + 1) % within
        follows = rng.random(len(active)) < _SUCCESSOR
        item = np.where(follows, successor, _popular(genre[active], n_items, rng))
    return chosen


def _popular(genre: Int64, n_items: int, rng: np.random.Generator) -> Int64:
    """[users] an item of each user's genre, the first ones most often."""
    first = genre * _GENRE_ITEMS
    within = np.minimum(_GENRE_ITEMS, n_items - first)
    return first + (within * rng.random(len(genre)) ** 3).astype(np.int64)


def _times(users: Int64, n_users: int, rng: np.random.Generator) -> Int64:
    """[interactions] seconds, ascending within a user: the steps of the visit, then its start."""
    begins = _START + rng.random(n_users) * _PERIOD * (1 - _VISIT)
    steps = rng.exponential(_VISIT * _PERIOD / (2 * _MEAN), len(users)) + 1
    elapsed = np.cumsum(steps)
    first = np.concatenate([[0], np.flatnonzero(np.diff(users)) + 1])
    elapsed -= elapsed[first][users]
    return (begins[users] + elapsed).astype(np.int64)
