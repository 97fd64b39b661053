"""The curve of random selection over budgets, which shows how many samples are enough."""

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
    """Make the curve from the model before training to training on all samples.

    Args:
        of: The data and the options for which the curve holds.
        untrained: [users] figures of the model before training, by metric.
        measured: The trainings by ascending size; the last one is on all samples.
        metric: The primary metric.
        beside: Other metrics, which are left out if they were not measured.
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
    """Compute which share of the change from ``start`` to the last of ``measured`` each budget reaches.

    Users and runs are both drawn with replacement (the pigeonhole bootstrap: Owen, Annals of Applied
    Statistics 2007), and the same users are drawn for all budgets. Run ``r`` of every budget has the same
    seeds, so budgets with equally many runs draw the same runs. With a single run, the interval is over
    users alone.

    Args:
        start: [U] figures of the model before training.
        measured: [R, U] figures of each budget; the last one is all samples.

    Returns:
        The share of each budget with its 95 % percentile interval, or ``None`` if the interval of the
        whole change includes zero.
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
    """Return the means of ``start`` and of each of ``measured`` over drawn users and runs, [1 + n, draws]."""
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
                f"It cannot be said how many samples are enough, because training on {full.samples:,} "
                f"samples is not shown to give more {title} than no training."
            )
        ]
    told = [text for share in TOLD if (text := _told(curve, share))]
    return [
        (
            f"Of the gain in {title} from training on all {full.samples:,} samples, randomly selected "
            f"ones reach {joined(told)}. Only measured budgets are listed; nothing is fitted between "
            "them."
        )
    ]


def _told(curve: Curve, share: float) -> str:
    point, sure = curve.reaching(share), curve.surely_reaching(share)
    if point is None or point.share is None:
        return ""
    more = (
        ""
        if sure in (None, point)
        else f"; the whole interval is above it from {sure.samples:,} on"
    )
    return f"{percent(share)} from {point.samples:,} samples on ({shown_share(point.share)}{more})"


def curve_lines(curve: Curve | None) -> list[str]:
    """Write the curve as lines of text, one for each budget."""
    if curve is None:
        return []
    return [
        f"{point.samples:,} samples: "
        + ", ".join(
            f"{words(name).title} {level(figure)}" for name, figure in point.metrics.items()
        )
        + ("" if point.share is None else f", {shown_share(point.share)} of the gain from all")
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
