"""Intervals and tests for the difference between two sets of runs over the same users.

A figure measured on ``R`` runs (each with a selection seed and a training seed) and ``U`` users would
change with other users and with other runs. So users and runs are resampled separately (the pigeonhole
bootstrap: Owen, Annals of Applied Statistics 2007); rows of (user, run) are never pooled. All figures
are means, so the bootstrap's variance has a closed form and nothing is drawn: it is the variance over
users of the runs' mean plus, for each set, the variance over runs of the users' mean. Sample variances
divide by the count less one, because resampling few runs understates what other runs would change. Few
runs also make that variance itself uncertain, so the interval is that of a t distribution with
Satterthwaite's degrees of freedom.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """The mean of one set of runs less that of another."""

    mean: float
    low: float
    high: float
    """Ends of the 95 % interval."""
    p_value: float
    """Two-sided, for the hypothesis of no difference."""
    degrees: float
    """Degrees of freedom."""

    @property
    def shown(self) -> bool:
        """Whether the interval excludes no difference."""
        return self.low > 0 or self.high < 0


def difference(first: Floats, second: Floats) -> Difference:
    """Compute ``first`` [R1, U] less ``second`` [R2, U], over the same users in the same order.

    Runs of the two sets are taken as independent. Equal runs or equal users add no variance.

    Raises:
        ValueError: A set has fewer than two runs or users, or the sets have different numbers of users.
    """
    if first.shape[1] != second.shape[1]:
        raise ValueError("the two sets of runs are over different users")
    if min(len(first), len(second), first.shape[1]) < 2:
        raise ValueError("an interval takes two runs of each and two users")
    mean = float(first.mean() - second.mean())
    users = first.mean(0) - second.mean(0)
    parts = [(users, len(users))]
    parts += [(runs.mean(1), len(runs)) for runs in (first, second)]
    error, degrees = _error(parts)
    if error == 0:
        return Difference(mean, mean, mean, 1.0 if mean == 0 else 0.0, degrees)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, degrees)) * error
    p_value = float(2 * stats.t.sf(abs(mean) / error, degrees))
    return Difference(mean, mean - reach, mean + reach, p_value, degrees)


class Estimate(NamedTuple):
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


def estimate(figures: Floats) -> Estimate:
    """Compute the mean of [R, U] ``figures`` with its interval over runs and users.

    With one run the interval is over users alone.

    Raises:
        ValueError: There is no run, or there are fewer than two users.
    """
    if not len(figures) or figures.shape[1] < 2:
        raise ValueError("an interval takes a run and two users")
    parts = [(figures.mean(0), figures.shape[1])]
    if len(figures) > 1:
        parts.append((figures.mean(1), len(figures)))
    error, degrees = _error(parts)
    mean = float(figures.mean())
    reach = float(stats.t.ppf((1 + LEVEL) / 2, degrees)) * error if error else 0.0
    return Estimate(mean, mean - reach, mean + reach)


def _error(parts: Sequence[tuple[Floats, int]]) -> tuple[float, float]:
    """Compute the standard error of a sum of independent means, and its degrees of freedom.

    Each of ``parts`` is the values of one mean, and their count.
    """
    variances = [float(values.var(ddof=1)) / count for values, count in parts]
    total = sum(variances)
    if total == 0:
        return 0.0, math.inf
    spread = sum(
        variance**2 / (count - 1) for variance, (_, count) in zip(variances, parts, strict=True)
    )
    return math.sqrt(total), total**2 / spread


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for multiple tests, in their order (Holm, Scandinavian J. of Statistics 1979)."""
    count, highest = len(p_values), 0.0
    corrected = [0.0] * count
    for place, index in enumerate(sorted(range(count), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (count - place) * p_values[index]))
        corrected[index] = highest
    return corrected


def rejections_without_a_difference(
    *,
    users: int,
    runs: int,
    user_spread: float,
    run_spread: float,
    noise: float,
    trials: int = 1000,
    seed: int = 0,
) -> float:
    """Simulate A/A tests; return the share that shows a difference, about 0.05 if the test is right.

    Two sets of ``runs`` over the same ``users`` are simulated with the same effect of a user
    (standard deviation ``user_spread``), an effect of each run (``run_spread``) and of each user in
    each run (``noise``).
    """
    draw = np.random.default_rng(seed)
    shown = 0
    for _ in range(trials):
        common = draw.normal(0, user_spread, users)
        sets = [
            common + draw.normal(0, run_spread, (runs, 1)) + draw.normal(0, noise, (runs, users))
            for _ in range(2)
        ]
        shown += difference(*sets).shown
    return shown / trials
