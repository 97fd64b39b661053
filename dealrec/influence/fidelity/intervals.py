"""Rank correlations over halves, one per query, and their mean with an interval.

The bootstrap resamples halves and queries independently, each with replacement. So a mean that depends
strongly on the halves or on the queries gets a wide interval.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DRAWS = 1000
_LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with the ends of its 95 % percentile interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, mean: float, draws: Floats) -> "Interval":
        """Make the interval from the mean in each bootstrap draw."""
        low, high = np.quantile(draws, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
        return cls(float(mean), float(low), float(high))

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Correlations:
    """The Spearman correlation over halves of two [Q, H] arrays, per query and on average.

    A query for which either array is constant counts as 0.
    """

    def __init__(self, predicted: Floats, measured: Floats) -> None:
        self._a, self._b = _below(predicted), _below(measured)
        self.queries, self.halves = predicted.shape

    def each(self, times: Floats) -> Floats:
        """Compute the [Q] correlations if half ``h`` was drawn ``times[h]`` times."""
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
    """Compute the [draws, C] means in each bootstrap draw, which all ``C`` correlations share."""
    generator = np.random.default_rng(seed)
    queries, halves = correlations[0].queries, correlations[0].halves
    found = np.empty((draws, len(correlations)))
    for row in found:
        times = generator.multinomial(halves, np.full(halves, 1 / halves)).astype(np.float64)
        weights = generator.multinomial(queries, np.full(queries, 1 / queries)) / queries
        row[:] = [one.each(times) @ weights for one in correlations]
    return found


def _below(values: Floats) -> Floats:
    """Return [Q, H, H]: 1 if the second half's value is below the first's, ½ if they are equal.

    Its product with the number of times each half was drawn is the mean ranks of the draw, less ½.
    """
    first, second = values[:, :, None], values[:, None, :]
    below: Floats = (second < first) + 0.5 * (second == first)
    return below
