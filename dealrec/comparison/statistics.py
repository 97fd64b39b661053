"""Computes tables, differences and checks from the figures of every run and user."""

from collections.abc import Mapping, Sequence
from itertools import combinations, islice

import numpy as np
import numpy.typing as npt

from dealrec.comparison.results import LESS_IS_BETTER, Compare, Row, SameAgainstSame
from dealrec.config.compared import ALL_DATA
from dealrec.config.comparison import CONTROL, VERDICT_RUNS
from dealrec.config.curve import Figure
from dealrec.metrics.crossed import (
    SIGNIFICANT,
    Difference,
    Spread,
    estimate,
    holm,
    paired,
    rejections,
    spread,
)

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Group = tuple[str, int]
"""A selector and a budget."""
Figures = Mapping[Group, Mapping[str, Floats]]
"""The [runs, users] figures of every group and metric."""

_SPLITS = 200


def table(figures: Figures) -> list[Row]:
    """Make one row for each group, with its means and their intervals."""
    rows = []
    for (selector, budget), metrics in figures.items():
        found = {name: Figure(**estimate(values)._asdict()) for name, values in metrics.items()}
        runs = len(next(iter(metrics.values())))
        rows.append(Row(selector=selector, budget=budget, runs=runs, metrics=found))
    return rows


def differences(
    figures: Figures, controls: Sequence[str], primary: str, smallest_effect: float | None = None
) -> list[Compare]:
    """Compare every group of at least two runs with the controls at the same budget, in every metric.

    Run ``r`` of both is compared, and runs that only one of them has are left out. P-values are corrected
    by :func:`~dealrec.metrics.crossed.holm`: those in the primary metric among themselves, because only
    they decide the verdict, and the others over all differences. Only for the primary metric is it tested
    whether a difference is smaller than ``smallest_effect``.
    """
    found = []
    for control in controls:
        family = [
            _compare(group, metric, values, control, figures[control, group[1]][metric])
            for group, metrics in figures.items()
            if group[0] != control and (control, group[1]) in figures
            for metric, values in metrics.items()
            if min(len(values), len(figures[control, group[1]][metric])) > 1
        ]
        everything = holm([one.p_value for _, one in family])
        of_primary = [index for index, (row, _) in enumerate(family) if row.metric == primary]
        corrected = dict(
            zip(of_primary, holm([family[i][1].p_value for i in of_primary]), strict=True)
        )
        level = dict[int, float]()
        if smallest_effect is not None:
            outside = [family[i][1].outside(smallest_effect) for i in of_primary]
            level = dict(zip(of_primary, holm(outside), strict=True))
        found += [
            _judged(row, corrected.get(index, everything[index]), level.get(index))
            for index, (row, _) in enumerate(family)
        ]
    return found


def _compare(
    group: Group, metric: str, first: Floats, control: str, second: Floats
) -> tuple[Compare, Difference]:
    runs = min(len(first), len(second))
    found = paired(first[:runs], second[:runs])
    return (
        Compare(
            selector=group[0],
            against=control,
            budget=group[1],
            metric=metric,
            runs=runs,
            mean=found.mean,
            low=found.low,
            high=found.high,
            p_value=found.p_value,
            corrected_p_value=found.p_value,
            better=None,
        ),
        found,
    )


def _judged(row: Compare, corrected: float, level: float | None) -> Compare:
    """Decide what the differences show. With fewer runs than a verdict needs, they show nothing."""
    better, equivalent = None, None
    if row.runs is not None and row.runs >= VERDICT_RUNS:
        if corrected < SIGNIFICANT:
            better = (row.mean < 0) is (row.metric in LESS_IS_BETTER)
        equivalent = None if level is None else level < SIGNIFICANT
    update = {
        "corrected_p_value": corrected,
        "better": better,
        "level_p_value": level,
        "level": equivalent,
    }
    return row.model_copy(update=update)


def spreads(figures: Figures, metric: str) -> dict[Group, Spread]:
    """Estimate the spread of the differences from random selection, for each group with two runs."""
    found = {}
    for (selector, budget), metrics in figures.items():
        control = figures.get((CONTROL, budget))
        if selector in (CONTROL, ALL_DATA) or control is None:
            continue
        runs = min(len(metrics[metric]), len(control[metric]))
        if runs > 1:
            found[selector, budget] = spread(metrics[metric][:runs] - control[metric][:runs])
    return found


def middle(found: Sequence[Spread]) -> Spread | None:
    """Return the root mean squares of several spreads; ``None`` if there are none."""
    if not found:
        return None
    return Spread(*np.sqrt((np.array(found) ** 2).mean(0)).tolist())


def same_against_same(runs: Floats, of_differences: Spread | None) -> SameAgainstSame:
    """Make A/A tests of the runs [R, U] of one selector, in which every difference found is an error.

    The runs are split into two halves in every way (at most 200), and comparisons with the measured
    spread are simulated. If nothing was compared, the spread is that of pairs of these runs.
    """
    count, users = runs.shape
    half = count // 2
    splits = list(islice(combinations(range(count), half), _SPLITS)) if half >= 2 else []
    rejected = 0
    for split in splits:
        rest = np.setdiff1d(np.arange(count), split)[:half]
        rejected += paired(runs[list(split)], runs[rest]).shown
    own = spread(runs)
    twice = of_differences or Spread(0.0, own.runs * 2**0.5, own.noise * 2**0.5)
    return SameAgainstSame(
        splits=len(splits),
        rejected=rejected / len(splits) if splits else 0.0,
        simulated_rejected=rejections(twice, count, users),
    )


def mean_jaccard(first: Sequence[Indices], second: Sequence[Indices] | None = None) -> float:
    """Compute the mean Jaccard index of two selectors' index sets, paired by run.

    Without ``second`` the different runs of one selector are compared; the index is 1 if there is only
    one run.
    """
    pairs = (
        list(combinations(first, 2)) if second is None else list(zip(first, second, strict=False))
    )
    if not pairs:
        return 1.0
    return float(np.mean([_jaccard(one, other) for one, other in pairs]))


def _jaccard(first: Indices, second: Indices) -> float:
    both = len(np.intersect1d(first, second, assume_unique=True))
    return both / (len(first) + len(second) - both)
