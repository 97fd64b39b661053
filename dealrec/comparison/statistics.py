"""Tables, differences and checks, computed from the figures of every run and user."""

from collections.abc import Mapping, Sequence
from itertools import combinations, islice

import numpy as np
import numpy.typing as npt

from dealrec.comparison.results import (
    LESS_IS_BETTER,
    PRIMARY,
    Compare,
    Figure,
    Row,
    SameAgainstSame,
)
from dealrec.metrics.crossed import (
    difference,
    estimate,
    holm,
    rejections_without_a_difference,
)

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Group = tuple[str, int]
"""A selector and a budget."""
Figures = Mapping[Group, Mapping[str, Floats]]
"""The [runs, users] figures of every group and metric."""

SIGNIFICANT = 0.05
_SPLITS, _TRIALS = 200, 1000


def table(figures: Figures) -> list[Row]:
    """Make one row for each group: its means with intervals."""
    rows = []
    for (selector, budget), metrics in figures.items():
        found = {name: Figure(**estimate(values)._asdict()) for name, values in metrics.items()}
        runs = len(next(iter(metrics.values())))
        rows.append(Row(selector=selector, budget=budget, runs=runs, metrics=found))
    return rows


def differences(figures: Figures, controls: Sequence[str]) -> list[Compare]:
    """Compare every group of two runs or more with the controls at the same budget, in every metric.

    P-values are corrected by :func:`~dealrec.metrics.crossed.holm`: those in the primary metric among
    themselves, because the verdict is about them alone, and the others over all.
    """
    found = []
    for control in controls:
        family = [
            _compare(group, metric, values, control, figures[control, group[1]][metric])
            for group, metrics in figures.items()
            if group[0] != control and (control, group[1]) in figures
            for metric, values in metrics.items()
            if len(values) > 1
        ]
        everything = holm([row.p_value for row in family])
        primary = [index for index, row in enumerate(family) if row.metric == PRIMARY]
        corrected = dict(zip(primary, holm([family[i].p_value for i in primary]), strict=True))
        found += [
            _judged(row, corrected.get(index, everything[index]))
            for index, row in enumerate(family)
        ]
    return found


def _compare(group: Group, metric: str, first: Floats, control: str, second: Floats) -> Compare:
    found = difference(first, second)
    return Compare(
        selector=group[0],
        against=control,
        budget=group[1],
        metric=metric,
        mean=found.mean,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        corrected_p_value=found.p_value,
        better=None,
    )


def _judged(row: Compare, corrected: float) -> Compare:
    better = None
    if corrected < SIGNIFICANT:
        better = (row.mean < 0) is (row.metric in LESS_IS_BETTER)
    return row.model_copy(update={"corrected_p_value": corrected, "better": better})


def same_against_same(runs: Floats, seed: int = 0) -> SameAgainstSame:
    """Make A/A tests of [R, U] runs of one selector, in which any difference shown is an error.

    The runs are cut in two in every way (at most 200), and runs of the same spreads are simulated.
    """
    count, users = runs.shape
    half = count // 2
    splits = list(islice(combinations(range(count), half), _SPLITS)) if half >= 2 else []
    rejected = 0
    for split in splits:
        rest = np.setdiff1d(np.arange(count), split)
        rejected += difference(runs[list(split)], runs[rest]).shown
    of_users, of_runs = runs.mean(0), runs.mean(1)
    noise = runs - of_users[None] - of_runs[:, None] + runs.mean()
    # A part of the spread of the runs' means is noise of their users, which is no effect of the run.
    noise_variance = float((noise**2).sum()) / max(1, (count - 1) * (users - 1))
    run_variance = max(0.0, float(of_runs.var(ddof=1)) - noise_variance / users)
    simulated = rejections_without_a_difference(
        users=users,
        runs=count,
        user_spread=float(of_users.std(ddof=1)),
        run_spread=run_variance**0.5,
        noise=noise_variance**0.5,
        trials=_TRIALS,
        seed=seed,
    )
    return SameAgainstSame(
        splits=len(splits),
        rejected=rejected / len(splits) if splits else 0.0,
        simulated_rejected=simulated,
    )


def mean_jaccard(first: Sequence[Indices], second: Sequence[Indices] | None = None) -> float:
    """Compute the mean Jaccard index of two selectors' index sets, paired by run.

    Without ``second`` the different runs of one selector are compared; it is 1 if there is only one.
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
