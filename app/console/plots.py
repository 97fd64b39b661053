"""The score plots, as plain SVG whose colours the style sheet gives: no script, light or dark.

The numbers are counted here; a plot of any number of samples has a few hundred shapes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log1p, log10
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from dealrec.app.coresets.schemas import StratumUse
from dealrec.app.scores.schemas import Histogram, ScoreName
from dealrec.app.scores.service import histogram
from dealrec.metrics.correlation import spearman

_BARS = 40
_BINS = (40, 26)
_SHADES = 8
_TAIL = 0.25
"""Percent at each end that the outermost cells take in."""
_WIDTH, _HEIGHT = 480.0, 240.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 56.0, 10.0, 8.0, 40.0


@dataclass(frozen=True)
class Tick:
    """A place on an axis, in the plot's units, and what is written there."""

    at: float
    label: str


@dataclass(frozen=True)
class Box:
    """A rectangle; ``kind`` is its class, ``title`` what a pointer shows."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


@dataclass(frozen=True)
class Plot:
    """All that the SVG template draws."""

    title: str
    x_title: str
    y_title: str
    boxes: tuple[Box, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    legend: tuple[tuple[str, str], ...]
    """Pairs of class and words."""
    summary: str
    """What the plot shows, for those who do not see it."""
    width: float = _WIDTH
    height: float = _HEIGHT


def score_plots(scores: Path) -> list[Plot]:
    """All plots of a ``scores.parquet``; those of effort where the language model was asked."""
    measured = pq.read_table(scores, columns=["effort"])
    names = [
        name
        for name in ScoreName
        if name is not ScoreName.EFFORT or measured["effort"].null_count < len(measured)
    ]
    plots = [
        histogram_plot(histogram(scores, name, _BARS), _quartiles(scores, name)) for name in names
    ]
    density = density_plot(scores)
    return plots if density is None else [*plots, density]


def histogram_plot(counted: Histogram, summary: str = "") -> Plot:
    """The share of all samples in every bin, and of the selected ones."""
    x = _Scale(counted.edges[0], counted.edges[-1], _LEFT, _WIDTH - _RIGHT)
    shares = {
        kind: [count / max(1, sum(counts)) for count in counts]
        for kind, counts in (("all", counted.all), ("chosen", counted.selected))
    }
    top = max(max(values) for values in shares.values()) or 1.0
    y = _Scale(0, top, _HEIGHT - _BOTTOM, _TOP)
    boxes = []
    for kind, values in shares.items():
        for low, high, share in zip(counted.edges, counted.edges[1:], values, strict=False):
            left, right, upper = x(low), x(high), y(share)
            if share:
                title = f"{low:.3g} to {high:.3g}: {share:.2%} of {_NAMES[kind]}"
                boxes.append(Box(left, upper, right - left, y(0) - upper, kind, title))
    return Plot(
        title=f"Distribution of {counted.score.value}",
        x_title=counted.score.value,
        y_title="share of samples",
        boxes=tuple(boxes),
        x_ticks=x.ticks(5),
        y_ticks=tuple(
            Tick(tick.at, f"{float(tick.label):.0%}" if top > 0.05 else f"{float(tick.label):.1%}")
            for tick in y.ticks(4)
        ),
        legend=(("all", "all samples"), ("chosen", "selected")),
        summary=summary,
    )


def _quartiles(scores: Path, name: ScoreName) -> str:
    table = pq.read_table(scores, columns=[name.value, "selected"])
    table = table.filter(table[name.value].is_valid())
    values = table[name.value].to_numpy()
    chosen = values[table["selected"].to_numpy()]
    parts = []
    for words, some in (("all samples", values), ("the selected", chosen)):
        if len(some):
            low, middle, high = np.quantile(some, [0.25, 0.5, 0.75])
            parts.append(f"{middle:.3g} for {words} (middle half {low:.3g} to {high:.3g})")
    return f"Median {', '.join(parts)}."


_NAMES = {"all": "all samples", "chosen": "the selected"}


def density_plot(scores: Path) -> Plot | None:
    """How many samples have which influence and effort; cells with selected ones are marked.

    ``None`` where the job measured no effort.
    """
    table = pq.read_table(scores, columns=["influence", "effort", "selected"])
    table = table.filter(table["effort"].is_valid())
    if not len(table):
        return None
    values = [table[name].to_numpy() for name in ("influence", "effort")]
    edges = [_inner_edges(column, bins) for column, bins in zip(values, _BINS, strict=True)]
    clipped = [
        np.clip(column, edge[0], edge[-1]) for column, edge in zip(values, edges, strict=True)
    ]
    chosen = table["selected"].to_numpy(zero_copy_only=False)
    counts = np.histogram2d(clipped[0], clipped[1], bins=edges)[0].astype(int)
    taken = np.histogram2d(clipped[0][chosen], clipped[1][chosen], bins=edges)[0].astype(int)
    x = _Scale(edges[0][0], edges[0][-1], _LEFT, _WIDTH - _RIGHT)
    y = _Scale(edges[1][0], edges[1][-1], _HEIGHT - _BOTTOM, _TOP)
    most = log1p(int(counts.max()))
    boxes, marks = [], []
    for i, j in zip(*np.nonzero(counts), strict=True):
        left, right = x(edges[0][i]), x(edges[0][i + 1])
        lower, upper = y(edges[1][j]), y(edges[1][j + 1])
        shade = min(_SHADES, 1 + int((_SHADES - 1) * log1p(int(counts[i, j])) / most + 0.5))
        title = f"{counts[i, j]:,} samples, {taken[i, j]:,} selected"
        boxes.append(Box(left, upper, right - left, lower - upper, f"shade-{shade}", title))
        if taken[i, j]:
            side = 2.0 + 3.5 * float(taken[i, j] / counts[i, j]) ** 0.5
            middle = ((left + right) / 2 - side / 2, (lower + upper) / 2 - side / 2)
            marks.append(Box(*middle, side, side, "mark", title))
    return Plot(
        title="Influence against effort",
        x_title="influence",
        y_title="effort",
        boxes=(*boxes, *marks),
        x_ticks=x.ticks(5),
        y_ticks=y.ticks(4),
        legend=(
            ("shade-5", "samples (darker is more)"),
            ("mark", "selected (larger is a larger share)"),
        ),
        summary=_agreement(values[0], values[1]),
    )


def _agreement(influence: npt.NDArray[np.float64], effort: npt.NDArray[np.float64]) -> str:
    found = spearman(influence, effort)
    if found is None:
        return "One of the two is the same for every sample."
    return f"Rank correlation {found:.2f} over {len(influence):,} samples."


def strata_plot(strata: Sequence[StratumUse]) -> Plot:
    """What every stratum had, and what it gave, on a logarithmic axis."""
    width = 2 * _WIDTH
    most = max((use.available for use in strata), default=1)
    x = _Scale(0, max(1, len(strata)), _LEFT, width - _RIGHT)
    y = _Scale(0, log1p(most), _HEIGHT - _BOTTOM, _TOP)
    boxes = []
    for place, use in enumerate(strata):
        left, right = x(place), x(place + 1)
        gap = min(2.0, (right - left) * 0.15)
        title = f"stratum {use.index}: {use.selected:,} of {use.available:,}"
        for kind, count in (("all", use.available), ("chosen", use.selected)):
            if count:
                upper = y(log1p(count))
                boxes.append(Box(left, upper, right - left - gap, y(0) - upper, kind, title))
    powers = [10**power for power in range(int(log10(most)) + 1)] if most else []
    step = max(1, len(strata) // 10)
    return Plot(
        title="Strata, from the lowest overall score to the highest",
        x_title="stratum",
        y_title="samples",
        boxes=tuple(boxes),
        x_ticks=tuple(
            Tick(x(place + 0.5), str(strata[place].index)) for place in range(0, len(strata), step)
        ),
        y_ticks=(Tick(y(0), "0"), *(Tick(y(log1p(power)), f"{power:,}") for power in powers)),
        legend=(("all", "available"), ("chosen", "selected (the quota)")),
        summary=_quotas(strata),
        width=width,
    )


def _quotas(strata: Sequence[StratumUse]) -> str:
    quotas = [use.selected for use in strata if use.selected]
    if not quotas:
        return "No stratum gave a sample."
    span = (
        f"{min(quotas):,}" if min(quotas) == max(quotas) else f"{min(quotas):,} to {max(quotas):,}"
    )
    return f"{len(quotas)} of {len(strata)} strata gave samples, {span} each."


@dataclass(frozen=True)
class _Scale:
    """From values ``[low, high]`` to places ``[start, end]``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(float(self.start + share * (self.end - self.start)), 2)

    def ticks(self, about: int) -> tuple[Tick, ...]:
        """Round values, some ``about`` of them."""
        raw = (self.high - self.low) / about
        power = 10.0 ** floor(log10(raw))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
        first = -floor(-self.low / step)
        last = floor(self.high / step)
        return tuple(Tick(self(n * step), f"{n * step:.4g}") for n in range(first, last + 1))


def _inner_edges(values: npt.NDArray[np.float64], bins: int) -> npt.NDArray[np.float64]:
    low, high = np.percentile(values, [_TAIL, 100 - _TAIL])
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1)
