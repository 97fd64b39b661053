"""The unit of timestamps, by their magnitude.

Examples:
    >>> unit_of(np.array([1_700_000_000, 1_700_086_400]))
    <TimeUnit.SECONDS: 'seconds'>
    >>> unit_of(np.array([1, 2, 3])) is None  # places in a sequence, or years
    True
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

import numpy as np

from dealrec.data.dataset import Dataset, Int64
from dealrec.data.findings import TimeSpan

LEAST = np.array([1e8, 1e11, 1e14, 1e17])
"""From these numbers on, times since 1970 are in seconds, milliseconds, microseconds, nanoseconds;
they are in 1973, and what is below the first one is some other count."""


class TimeUnit(StrEnum):
    """A unit in which points in time are counted from the beginning of 1970, in UTC."""

    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"
    MICROSECONDS = "microseconds"
    NANOSECONDS = "nanoseconds"

    @property
    def a_second(self) -> int:
        """The number of these units in a second."""
        return int(1000 ** list(TimeUnit).index(self))


def magnitudes(times: Int64) -> Int64:
    """[N] the number of units that each of ``times`` [N] is large enough for; 0 is no date."""
    if len(times):  # mostly all are alike, which the smallest and the largest of them say
        low, high = int(times.min()), int(times.max())
        if low >= 0 and len({*np.searchsorted(LEAST, [low, high], side="right").tolist()}) == 1:
            return np.full(len(times), np.searchsorted(LEAST, low, side="right"), np.int64)
    return np.searchsorted(LEAST, np.abs(times), side="right")


def unit_of(times: Int64) -> TimeUnit | None:
    """The unit of most of ``times`` [N]; ``None`` if half or more are not counted from 1970."""
    counts = np.bincount(magnitudes(times), minlength=len(LEAST) + 1)
    if 2 * counts[0] >= len(times):
        return None
    return list(TimeUnit)[int(counts[1:].argmax())]


def time_span(dataset: Dataset) -> TimeSpan | None:
    """The first and the last timestamp; ``None`` where the data set has none."""
    times = dataset.times
    if times is None:
        return None
    return {"first": int(times.min()), "last": int(times.max()), "unit": unit_of(times)}


def date_of(time: int, unit: TimeUnit | None) -> str:
    """Write a timestamp as a date in UTC, or as the number that it is where it is no date."""
    if unit is None:
        return f"{time:,}"
    try:
        date = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time / unit.a_second)
    except OverflowError:
        return f"{time:,}"
    return f"{date:%Y-%m-%d}"


_SPANS = {"year": 365, "month": 30, "day": 1, "hour": 1 / 24, "minute": 1 / 1440}
"""The days in a unit."""


def spoken(days: float) -> str:
    """Write a span of time in the largest unit of which it has one.

    Examples:
        >>> [spoken(days) for days in (0.0001, 0.5, 1, 13, 75, 800)]
        ['a moment', '12 hours', '1 day', '13 days', '2 months', '2 years']
    """
    for unit, length in _SPANS.items():
        count = int(days / length + 1e-9)
        if count:
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "a moment"
