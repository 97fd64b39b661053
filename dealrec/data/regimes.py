"""Synthetic data of other kinds than sequences, each with a structure that is known.

:class:`~dealrec.config.sample_data.SampleKind` says what each is like. Item ``i`` belongs to genre
``i mod 10`` of :data:`~dealrec.data.synthetic.GENRES`, and its title shows it. The next item of the same
genre is its **successor**. All draws are uniform, whose stream no NumPy release changes.
"""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from dealrec.config.sample_data import SampleKind
from dealrec.data.synthetic import GENRES, PERIOD, START, write_items, write_sample_data

_DAY, _MINUTE = 86_400, 60


def write_kind(
    folder: Path, kind: SampleKind, *, users: int = 1000, items: int = 500, seed: int = 0
) -> None:
    """Write ``interactions.csv`` and ``items.csv``; the same arguments give the same bytes."""
    if kind is SampleKind.SEQUENCES:
        write_sample_data(folder, users=users, items=items, seed=seed)
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_items(folder, items)
    rng = np.random.default_rng(seed)
    header = ["user_id", "item_id", "timestamp"]
    if kind is SampleKind.RATINGS:
        header.append("rating")
    with (folder / "interactions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for user in range(users):
            for item, *rest in _USERS[kind](rng, items):
                writer.writerow([f"u{user + 1:04}", f"i{item + 1:04}", *rest])


def successor(item: int, items: int) -> int:
    """Return the next item of the same genre, the first one after the last."""
    genres = min(len(GENRES), items)
    return item + genres if item + genres < items else item % genres


def _sessions(rng: np.random.Generator, items: int) -> Iterator[tuple[int, ...]]:
    time = START + int(rng.random() * PERIOD / 2)
    for _ in range(2 + int(rng.random() * 4)):
        item = int(rng.random() * items)
        for _ in range(3 + int(rng.random() * 5)):
            yield item, time
            item = successor(item, items)
            time += 1 + int(rng.random() * 10 * _MINUTE)
        time += _DAY + int(rng.random() * 20 * _DAY)


def _sets(rng: np.random.Generator, items: int) -> Iterator[tuple[int, ...]]:
    genres = min(len(GENRES), items)
    tastes = np.argsort(rng.random(genres))[:2]
    within = np.concatenate([np.arange(genre, items, genres) for genre in tastes])
    chosen = within[np.argsort(rng.random(len(within)))][: 4 + int(rng.random() * 9)]
    time = START + int(rng.random() * PERIOD)
    for item in chosen.tolist():
        yield item, time


def _long(rng: np.random.Generator, items: int) -> Iterator[tuple[int, ...]]:
    length, half, genres = 100 + int(rng.random() * 100), items // 2, min(len(GENRES), items // 2)
    item = int(rng.random() * half)
    for place in range(length):
        yield item, START + place * _DAY
        if place < length // 2:
            item = item + genres if item + genres < half else item % genres
        else:
            item = half + int(rng.random() * (items - half))


def _cold(rng: np.random.Generator, items: int) -> Iterator[tuple[int, ...]]:
    genres, old = min(len(GENRES), items), items - items // 10
    genre = int(rng.random() * genres)
    length = 5 + int(rng.random() * 10)
    shares = np.sort(rng.random(length))
    for share in shares.tolist():
        late = share > 0.9
        within = np.arange(genre, items, genres)
        within = within[within >= old] if late else within[within < old]
        if len(within):
            yield int(within[int(rng.random() * len(within))]), START + int(share * PERIOD)


def _ratings(rng: np.random.Generator, items: int) -> Iterator[tuple[int, ...]]:
    genres = min(len(GENRES), items)
    liked = set(np.argsort(rng.random(genres))[:3].tolist())
    time = START + int(rng.random() * PERIOD / 2)
    for item in np.argsort(rng.random(items))[: 8 + int(rng.random() * 12)].tolist():
        likes = item % genres in liked
        yield item, time, (4 if likes else 1) + int(rng.random() * 2)
        time += 1 + int(rng.random() * _DAY)


_USERS: dict[SampleKind, Callable[[np.random.Generator, int], Iterator[tuple[int, ...]]]] = {
    SampleKind.SESSIONS: _sessions,
    SampleKind.SETS: _sets,
    SampleKind.LONG: _long,
    SampleKind.COLD: _cold,
    SampleKind.RATINGS: _ratings,
}
"""The items, times and ratings of a user of each kind."""
