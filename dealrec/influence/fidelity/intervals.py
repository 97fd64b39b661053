"""Rank correlations over halves, one a query, and their mean with an interval.

A bootstrap draws halves and queries anew, each with replacement and apart from the other: a figure
that would be another one with other halves, or with other queries, gets a wide interval from either.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DRAWS = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean, and the ends of its 95 % percentile interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, mean: float, draws: Floats) -> "Interval":
        """``draws`` are the mean in each draw of the bootstrap."""
        low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return cls(float(mean), float(low), float(high))

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Correlations:
    """Mean over queries of the Spearman correlation over halves of two [Q, H] arrays.

    A query for which either is constant counts as 0: nothing was told of it.
    """

    def __init__(self, predicted: Floats, measured: Floats) -> None:
        self._a, self._b = _below(predicted), _below(measured)
        self.queries, self.halves = predicted.shape

    def each(self, times: Floats) -> Floats:
        """[Q] correlations where half ``h`` was drawn ``times[h]`` times."""
        a, b = self._a @ times, self._b @ times
        total = times.sum()
        a -= (a @ times / total)[:, None]
        b -= (b @ times / total)[:, None]
        scale = np.sqrt((a**2 @ times) * (b**2 @ times))
        found = (a * b) @ times
        return np.divide(found, scale, out=np.zeros_like(found), where=scale > 1e-9)

    def mean(self) -> float:
        return float(self.each(np.ones(self.halves)).mean())


def draw_means(correlations: list[Correlations], seed: int, draws: int = DRAWS) -> Floats:
    """[draws, C] means in each draw of the bootstrap; the same draws for all, so they can be paired."""
    generator = np.random.default_rng(seed)
    queries, halves = correlations[0].queries, correlations[0].halves
    found = np.empty((draws, len(correlations)))
    for row in found:
        times = generator.multinomial(halves, np.full(halves, 1 / halves)).astype(np.float64)
        weights = generator.multinomial(queries, np.full(queries, 1 / queries)) / queries
        row[:] = [one.each(times) @ weights for one in correlations]
    return found


def _below(values: Floats) -> Floats:
    """[Q, H, H]: 1 where the second half's value is below the first's, ½ where they are equal.

    Times how often each half was drawn it gives mean ranks (less ½), ties shared, for any draw.
    """
    first, second = values[:, :, None], values[:, None, :]
    below: Floats = (second < first) + 0.5 * (second == first)
    return below
