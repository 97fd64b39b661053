"""The curve of random selection over budgets: how many samples are enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dealrec.comparison.results import NLL
from dealrec.comparison.wording import joined, level, number, words
from dealrec.config.curve import Curve, CurveOf, CurvePoint, Figure
from dealrec.metrics.crossed import SIGNIFICANT, estimate

Floats = npt.NDArray[np.float64]
Metrics = Mapping[str, Floats]
"""The [runs, users] figures by metric."""
BESIDE = (NLL, "recall@10", "ndcg@10")
"""The metrics that stand beside the primary one, where they are measured."""
TOLD = (0.5, 0.9, 0.95)
"""The shares whose budgets are told."""
_DRAWS = 2000
_PART = 200
"""Draws that are held in memory at a time."""


@dataclass(frozen=True)
class Measured:
    """The trainings on random selections of one size."""

    samples: int
    figures: Metrics


def draw_curve(
    of: CurveOf,
    untrained: Mapping[str, Floats],
    measured: Sequence[Measured],
    metric: str,
    *,
    beside: Sequence[str] = BESIDE,
) -> Curve:
    """Make the curve from the model as it is to all samples.

    Args:
        of: What it holds for.
        untrained: [users] figures of the model as it is, by metric.
        measured: By ascending size; the last one is all samples.
        metric: The primary metric.
        beside: Other metrics, which are left out where they are not measured.
    """
    names = [metric, *(name for name in beside if name != metric and name in untrained)]
    shares = reached(untrained[metric], [one.figures[metric] for one in measured])
    points = [
        CurvePoint(
            samples=0,
            runs=0,
            metrics={name: _figure(untrained[name][None]) for name in names},
            share=None if shares is None else Figure(mean=0.0, low=0.0, high=0.0),
        )
    ]
    for place, one in enumerate(measured):
        points.append(
            CurvePoint(
                samples=one.samples,
                runs=len(one.figures[metric]),
                metrics={name: _figure(one.figures[name]) for name in names},
                share=None if shares is None else shares[place],
            )
        )
    return Curve(of=of, metric=metric, points=points)


def reached(start: Floats, measured: Sequence[Floats]) -> list[Figure] | None:
    """Compute which share of the change from ``start`` to the last of ``measured`` each has reached.

    Users and runs are both drawn with replacement (the pigeonhole bootstrap: Owen, Annals of Applied
    Statistics 2007), the same users for all. Run ``r`` shares its seeds with run ``r`` of the others, so
    sets of as many runs draw the same runs; a single run is never another one, so its interval is over
    users alone.

    Args:
        start: [U] figures of the model as it is.
        measured: [R, U] figures of each budget; the last one is all samples.

    Returns:
        The share of each with its percentile interval of 95 %, or ``None`` where the interval of the
        whole change does not exclude none.
    """
    whole = estimate(measured[-1] - start)
    if whole.low <= 0 <= whole.high:
        return None
    draws = np.concatenate(
        [_drawn(start, measured, seed) for seed in range(-(-_DRAWS // _PART))], axis=1
    )
    shares = (draws[1:] - draws[0]) / (draws[-1] - draws[0])
    ends = np.quantile(shares, [SIGNIFICANT / 2, 1 - SIGNIFICANT / 2], axis=1).T.tolist()
    means = [float((one.mean() - start.mean()) / whole.mean) for one in measured]
    return [
        Figure(mean=mean, low=low, high=high) for mean, (low, high) in zip(means, ends, strict=True)
    ]


def _drawn(start: Floats, measured: Sequence[Floats], seed: int) -> Floats:
    """[1 + n, draws] means of ``start`` and of each of ``measured`` over drawn users and runs."""
    draw, users = np.random.default_rng([seed, 0xC4E]), len(start)
    of_users = draw.multinomial(users, np.full(users, 1 / users), _PART).T / users
    of_runs = dict[int, Floats]()
    means = [start @ of_users]
    for figures in measured:
        runs = len(figures)
        if runs not in of_runs:
            of_runs[runs] = draw.multinomial(runs, np.full(runs, 1 / runs), _PART).T / runs
        means.append((figures @ of_users * of_runs[runs]).sum(0))
    return np.stack(means)


def curve_sentences(curve: Curve | None) -> list[str]:
    """Say how many samples reach a share of what all of them give."""
    if curve is None:
        return []
    title, full = words(curve.metric).title, curve.points[-1]
    if full.share is None:
        return [
            (
                f"How many samples are enough cannot be said: {full.samples:,} of them are not shown to "
                f"give more {title} than none."
            )
        ]
    told = [text for share in TOLD if (text := _told(curve, share))]
    return [
        (
            f"Of the gain in {title} that all {full.samples:,} samples give, randomly selected ones reach "
            f"{joined(told)}. Only measured budgets are told; nothing is fitted between them."
        )
    ]


def _told(curve: Curve, share: float) -> str:
    point, sure = curve.reaching(share), curve.surely_reaching(share)
    if point is None or point.share is None:
        return ""
    more = "" if sure in (None, point) else f"; the whole interval from {sure.samples:,} on"
    return f"{percent(share)} from {point.samples:,} on ({shown_share(point.share)}{more})"


def curve_lines(curve: Curve | None) -> list[str]:
    """Write the curve as lines of text, a budget each."""
    if curve is None:
        return []
    return [
        f"{point.samples:,} samples: "
        + ", ".join(
            f"{words(name).title} {level(figure)}" for name, figure in point.metrics.items()
        )
        + ("" if point.share is None else f", {shown_share(point.share)} of all")
        for point in curve.points
    ]


def shown_share(share: Figure) -> str:
    """Format a share as ``97 % [91, 104]``."""
    ends = f"[{number(100 * share.low, 0)}, {number(100 * share.high, 0)}]"
    return f"{percent(share.mean)} {ends}"


def percent(share: float) -> str:
    """Format a share as ``95 %``."""
    return f"{number(100 * share, 0)} %"


def _figure(figures: Floats) -> Figure:
    return Figure(**estimate(figures)._asdict())
