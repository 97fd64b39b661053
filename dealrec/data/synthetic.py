"""A synthetic data set with the structure of real ones, for trials and tests.

Items have genres, and a few items are popular. Users move between genres along planted paths, and
within a genre often from an item to its planted successor, so the next item can be learned.
"""

import csv
import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt

GENRES: dict[str, tuple[str, str]] = {
    "Mystery": (
        "Silent Hidden Midnight Crooked Vanishing Locked Whispering Foggy Missing Velvet",
        "Witness Alibi Corridor Letter Detective Lantern Cellar Cipher Stranger Verdict",
    ),
    "Space": (
        "Distant Orbital Solar Frozen Stellar Drifting Lunar Infinite Burning Last",
        "Comet Station Colony Voyage Galaxy Signal Nebula Engine Horizon Planet",
    ),
    "Fantasy": (
        "Ancient Enchanted Golden Broken Elven Forgotten Sleeping Cursed Royal Wild",
        "Dragon Sword Kingdom Wizard Forest Crown Tower Prophecy Spell Throne",
    ),
    "Ocean": (
        "Blue Deep Sunken Stormy Coral Salty Rolling Northern Hollow Silver",
        "Harbor Whale Anchor Tide Lighthouse Reef Island Sailor Lagoon Compass",
    ),
    "Racing": (
        "Turbo Fast Rally Midnight Desert Street Electric Grand Dusty Reckless",
        "Circuit Driver Wheels Lap Engine Highway Trophy Drift Garage Finish",
    ),
    "Cooking": (
        "Spicy Sweet Rustic Simple Smoky Fresh Hungry Slow Golden Secret",
        "Kitchen Recipe Bakery Supper Noodle Pepper Oven Feast Market Chef",
    ),
    "Garden": (
        "Green Blooming Shady Quiet Wild Little Sunny Tangled Morning Country",
        "Orchard Meadow Rose Pond Hedge Seed Greenhouse Path Willow Harvest",
    ),
    "Western": (
        "Lonesome Dusty Iron Wild Red Rugged Lost Thunder Bitter Prairie",
        "Sheriff Canyon Saddle Outlaw Ranch Rider Saloon Trail Mustang Frontier",
    ),
    "Music": (
        "Electric Blue Acoustic Velvet Golden Loud Broken Summer Smooth Dancing",
        "Guitar Melody Rhythm Jazz Piano Concert Chorus Record Band Encore",
    ),
    "Puzzle": (
        "Clever Tiny Tricky Magic Paper Wooden Twisted Hidden Perfect Double",
        "Maze Riddle Blocks Tiles Mirror Number Pattern Box Bridge Clock",
    ),
}
"""The first words and the second words of the titles of each genre."""

START, PERIOD = 1_609_459_200, 2 * 365 * 86_400
"""The start (2021-01-01 UTC) and the length of the time of the interactions, in seconds."""
_STAY, _SUCCESSOR, _NEXT_GENRE = 0.8, 0.7, 0.75
"""Probabilities: to stay in the genre; if so, to take the successor; if not, the next genre."""


def write_sample_data(folder: Path, *, users: int = 1000, items: int = 500, seed: int = 0) -> None:
    """Write ``interactions.csv`` (user_id, item_id, timestamp) and ``items.csv`` (item_id, title, genre).

    The same arguments give the same bytes. Users have 5 to 24 interactions, 12 on average. No user has
    an item twice if there are enough items.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_items(folder, items)
    world = _World(items, seed)
    with (folder / "interactions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["user_id", "item_id", "timestamp"])
        for user in range(users):
            writer.writerows(
                (f"u{user + 1:04}", f"i{item + 1:04}", time) for item, time in world.sequence()
            )


def write_items(folder: Path, items: int) -> None:
    """Write ``items.csv``, with the item ``i`` in the genre ``i mod 10``."""
    with (folder / "items.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["item_id", "title", "genre"])
        writer.writerows(
            (f"i{item + 1:04}", title, genre) for item, (title, genre) in enumerate(_titles(items))
        )


def _titles(items: int) -> list[tuple[str, str]]:
    """Make the title and genre of each item; genres take turns, and a repeated title gets a number."""
    genres = list(GENRES)
    words = {name: (a.split(), b.split()) for name, (a, b) in GENRES.items()}
    used: set[str] = set()
    result = []
    for item in range(items):
        genre = genres[item % len(genres)]
        first, second = words[genre]
        rank = item // len(genres)
        # The second word changes fastest and the first shifts each round: neighbours differ in both.
        turn = rank // len(second)
        base = f"{first[(rank + turn) % len(first)]} {second[rank % len(second)]}"
        title = next(
            name
            for number in itertools.count(1 + turn // len(first))
            if (name := base if number == 1 else f"{base} {number}") not in used
        )
        used.add(title)
        result.append((title, genre))
    return result


class _World:
    """Draws the sequences of users, by uniform draws only, whose stream no NumPy release changes."""

    def __init__(self, items: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._items = items
        self._genres = min(len(GENRES), items)
        self._members = [np.arange(genre, items, self._genres) for genre in range(self._genres)]
        self._popularity: list[npt.NDArray[np.float64]] = []
        self._successor = np.empty(items, np.int64)
        for members in self._members:
            shuffled = members[np.argsort(self._rng.random(len(members)))]
            self._successor[shuffled] = np.roll(shuffled, -1)
            weights = 1 / (1 + np.argsort(np.argsort(self._rng.random(len(members)))))
            self._popularity.append(np.cumsum(weights) / weights.sum())

    def sequence(self) -> list[tuple[int, int]]:
        """Draw one user's pairs of item and timestamp, oldest first."""
        draws = self._rng.random(4)
        length = 5 + int(10 * (draws[0] + draws[1]) * (0.4 + 0.6 * draws[2]))
        length = min(length, self._items)
        start = 0.5 * draws[3] * PERIOD
        times = np.sort(start + self._rng.random(length) * (PERIOD - start)).astype(np.int64)
        genre = int(self._rng.random() * self._genres)
        item = self._popular(genre, set())
        sequence = [item]
        seen = {item}
        while len(sequence) < length:
            stay, follow, move, where = self._rng.random(4)
            successor = int(self._successor[item])
            if stay >= _STAY:
                step = 1 if move < _NEXT_GENRE else int(where * self._genres)
                genre = (genre + step) % self._genres
                item = self._popular(genre, seen)
            elif follow < _SUCCESSOR and successor not in seen:
                item = successor
            else:
                item = self._popular(genre, seen)
            genre = item % self._genres
            sequence.append(item)
            seen.add(item)
        return list(zip(sequence, (times + START).tolist(), strict=True))

    def _popular(self, genre: int, seen: set[int]) -> int:
        """Draw an unseen item of the genre by popularity, or take any unseen item."""
        for draw in self._rng.random(20):
            at = int(np.searchsorted(self._popularity[genre], draw, side="right"))
            item = int(self._members[genre][min(at, len(self._members[genre]) - 1)])
            if item not in seen:
                return item
        everything = itertools.chain(self._members[genre].tolist(), range(self._items))
        return next(item for item in everything if item not in seen)
