"""The newest window of samples, and weights that decay with age."""

import numpy as np
import numpy.typing as npt

from dealrec.selection.interface import Float64, Scores

_SHARE = 0.1


def newest(scores: Scores, share: float, budget: int) -> npt.NDArray[np.bool_]:
    """[n] whether each sample is in the window: the newest ``share`` of all, and at least ``budget``.

    All samples with the time at which the window begins are in it, so it may be a little larger.
    """
    assert scores.times is not None
    size = min(len(scores), max(budget, int(np.ceil(share * len(scores)))))
    begin = np.partition(scores.times, len(scores) - size)[len(scores) - size]
    return np.asarray(scores.times >= begin)


def decayed(scores: Scores, half_life: float | None) -> Float64:
    """[n] weights ``2^(−age / half-life)``; the age of a sample is its distance from the newest one.

    Args:
        scores: Samples with times.
        half_life: In days, or in the unit of the timestamps where these do not count from 1970.
            ``None`` means the age that the newest tenth of all samples do not exceed.
    """
    assert scores.times is not None
    ages = _ages(scores.times)
    span = _usual(ages) if half_life is None else half_life * (scores.day or 1)
    return np.asarray(0.5 ** (ages / span))


def weights_by_age(times: npt.NDArray[np.int64], scale: npt.NDArray[np.int64]) -> Float64:
    """[n] weights of ``times`` [n] as :func:`decayed` gives them with the half-life that ``scale`` has."""
    return np.asarray(0.5 ** (_ages(times) / _usual(_ages(scale))))


def _ages(times: npt.NDArray[np.int64]) -> Float64:
    ages = times.astype(np.float64)
    return np.asarray(ages.max() - ages)


def _usual(ages: Float64) -> float:
    """The age that the newest tenth do not exceed; the smallest one where that tenth are all the newest."""
    span = float(np.quantile(ages, _SHARE, method="higher"))
    older = ages[ages > 0]
    return span if span > 0 else float(older.min()) if len(older) else 1.0


def time_ranks(scores: Scores) -> Float64:
    """[n] places of the distinct times, the oldest first; equal times share a place."""
    assert scores.times is not None
    return np.unique(scores.times, return_inverse=True)[1].astype(np.float64)
