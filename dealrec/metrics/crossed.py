"""Intervals and tests for figures of runs over the same users.

A figure measured on ``R`` runs and ``U`` users would change with other users and with other runs, so
both count as drawn (the pigeonhole bootstrap: Owen, Annals of Applied Statistics 2007; here the crossed
random-effects model in closed form: Searle, Casella and McCulloch, Variance Components, 1992). With an
effect of each user, an effect of each run, and noise of each user in each run, the mean of all has

    V = σ²_users / U + σ²_runs / R + σ²_noise / (R U).

The variance over users of the runs' mean contains the noise once, and so does the variance over runs of
the users' mean; it is taken away from the second, so that no noise counts twice. Few runs make the
estimate of V itself uncertain, so intervals are those of a t distribution with Satterthwaite's degrees
of freedom.

Two selectors are compared run by run: run ``r`` of both has the same training seed and the same
surrogate, so what these do to both leaves the difference before anything is estimated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Values = Floats | np.float64
"""A figure, or one for each of many simulations."""
LEVEL = 0.95
SIGNIFICANT = 1 - LEVEL
POWER = 0.8
"""The chance with which a difference that is called detectable is shown."""


class Squares(NamedTuple):
    """What the data say of each part of V."""

    users: Values
    """Variance over users of the runs' mean, over U."""
    runs: Values
    """Variance over runs of the users' mean, over R."""
    noise: Values
    """Variance of what neither explains, over R U."""


class Spread(NamedTuple):
    """Standard deviations of the parts of a figure."""

    users: float
    runs: float
    noise: float


@dataclass(frozen=True)
class Difference:
    """The mean of a set of runs less that of another."""

    mean: float
    low: float
    high: float
    """Ends of the 95 % interval."""
    p_value: float
    """Two-sided, for the hypothesis of no difference."""
    degrees: float
    """Degrees of freedom."""
    error: float
    """Standard error."""

    @property
    def shown(self) -> bool:
        """Whether the interval excludes no difference."""
        return self.low > 0 or self.high < 0

    def outside(self, reach: float) -> float:
        """Return the p-value of a difference of at least ``reach``, either way.

        A small one shows that both are level within ``±reach``: two one-sided tests (Schuirmann,
        Journal of Pharmacokinetics and Biopharmaceutics 1987).
        """
        margin = reach - abs(self.mean)
        if self.error == 0:
            return 0.0 if margin > 0 else 1.0
        return float(stats.t.sf(margin / self.error, self.degrees))


class Estimate(NamedTuple):
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


def paired(first: Floats, second: Floats) -> Difference:
    """Compute ``first`` [R, U] less ``second`` [R, U]: row ``r`` of both is run ``r``, users in one order.

    Raises:
        ValueError: The sets are of different shapes, or there are fewer than two runs or two users.
    """
    if first.shape != second.shape:
        raise ValueError("the two sets are of different runs or different users")
    if min(first.shape) < 2:
        raise ValueError("an interval takes two runs of each and two users")
    return _difference(first - second)


def over_users(first: Floats, second: Floats) -> Difference:
    """Compute the mean over [U] users of ``first`` less ``second``, of these two runs alone.

    Raises:
        ValueError: There are fewer than two users.
    """
    if len(first) < 2:
        raise ValueError("an interval takes two users")
    return _difference((first - second)[None])


def estimate(figures: Floats) -> Estimate:
    """Compute the mean of [R, U] ``figures`` with its interval over runs and users.

    With one run the interval is over users alone.

    Raises:
        ValueError: There is no run, or there are fewer than two users.
    """
    if not len(figures) or figures.shape[1] < 2:
        raise ValueError("an interval takes a run and two users")
    found = _difference(figures)
    return Estimate(found.mean, found.low, found.high)


def spread(figures: Floats) -> Spread:
    """Estimate the standard deviations of [R, U] ``figures``; 0 where an estimate is negative.

    Raises:
        ValueError: There are fewer than two runs or two users.
    """
    if min(figures.shape) < 2:
        raise ValueError("a spread takes two runs and two users")
    runs, users = figures.shape
    found = squares(figures)
    of_users, of_runs = (max(0.0, float(part - found.noise)) for part in found[:2])
    return Spread(
        math.sqrt(of_users * users),
        math.sqrt(of_runs * runs),
        math.sqrt(float(found.noise) * runs * users),
    )


def squares(figures: Floats) -> Squares:
    """Compute the parts of V of [R, U] ``figures``; with one run that of users alone."""
    runs, users = figures.shape
    of_users, of_runs = figures.mean(0), figures.mean(1)
    if runs < 2:
        return Squares(of_users.var(ddof=1) / users, np.float64(0), np.float64(0))
    rest = figures - of_users - of_runs[:, None] + figures.mean()
    noise = (rest**2).sum() / ((runs - 1) * (users - 1))
    return Squares(of_users.var(ddof=1) / users, of_runs.var(ddof=1) / runs, noise / (runs * users))


def error_of(parts: Squares, runs: int, users: int) -> tuple[Values, Values]:
    """Compute the standard error of a mean over runs and users, and its degrees of freedom."""
    total = parts.users + np.maximum(parts.runs - parts.noise, 0.0)
    uncertain = parts.users**2 / (users - 1)
    if runs > 1:
        uncertain = uncertain + parts.runs**2 / (runs - 1)
        uncertain = uncertain + parts.noise**2 / ((runs - 1) * (users - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        degrees = np.where(uncertain > 0, total**2 / uncertain, np.inf)
    return np.sqrt(total), degrees


def detectable(spread: Spread, runs: int, users: int, *, power: float = POWER) -> float:
    """Compute the difference that ``runs`` and ``users`` show with the chance ``power``.

    ``spread`` is that of the differences between paired runs, in the unit of the result.
    """
    noise = spread.noise**2 / (runs * users)
    parts = Squares(
        np.float64(spread.users**2 / users + noise),
        np.float64(spread.runs**2 / runs + noise),
        np.float64(noise),
    )
    error, degrees = error_of(parts, runs, users)
    reach = stats.t.ppf(1 - SIGNIFICANT / 2, degrees) + stats.t.ppf(power, degrees)
    return float(reach * error)


def rejections(
    spread: Spread,
    runs: int,
    users: int,
    *,
    difference: float = 0.0,
    trials: int = 20_000,
    seed: int = 0,
) -> float:
    """Simulate comparisons; return the share in which a difference is shown.

    Without a ``difference`` it should be 0.05. The mean and the three sums of squares of a crossed
    design with normal effects are independent, so they are drawn in place of the figures themselves.
    """
    draw = np.random.default_rng(seed)
    noise = spread.noise**2 / (runs * users)
    of_users, of_runs = spread.users**2 / users, spread.runs**2 / runs
    means = draw.normal(difference, math.sqrt(of_users + of_runs + noise), trials)
    parts = Squares(
        (of_users + noise) * draw.chisquare(users - 1, trials) / (users - 1),
        (of_runs + noise) * draw.chisquare(runs - 1, trials) / (runs - 1),
        noise * draw.chisquare((runs - 1) * (users - 1), trials) / ((runs - 1) * (users - 1)),
    )
    errors, degrees = error_of(parts, runs, users)
    shown = np.abs(means) > stats.t.ppf(1 - SIGNIFICANT / 2, degrees) * errors
    return float(shown.mean())


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for multiple tests, in their order (Holm, Scandinavian J. of Statistics 1979)."""
    count, highest = len(p_values), 0.0
    corrected = [0.0] * count
    for place, index in enumerate(sorted(range(count), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (count - place) * p_values[index]))
        corrected[index] = highest
    return corrected


def _difference(figures: Floats) -> Difference:
    runs, users = figures.shape
    mean = float(figures.mean())
    error, degrees = (float(value) for value in error_of(squares(figures), runs, users))
    if error == 0:
        return Difference(mean, mean, mean, 1.0 if mean == 0 else 0.0, degrees, 0.0)
    reach = float(stats.t.ppf(1 - SIGNIFICANT / 2, degrees)) * error
    p_value = float(2 * stats.t.sf(abs(mean) / error, degrees))
    return Difference(mean, mean - reach, mean + reach, p_value, degrees, error)
