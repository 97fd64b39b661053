"""Headroom, which is checked before the selectors, and exchanged histories, which are checked after them."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from dealrec.comparison.checks import turned
from dealrec.comparison.results import LESS_IS_BETTER, NLL, PREFERENCE, Exchanged, Headroom
from dealrec.comparison.runs import TrainedRun
from dealrec.config.compared import ALL_DATA, EXCHANGED
from dealrec.config.comparison import ComparisonConfig
from dealrec.config.curve import Figure
from dealrec.metrics.crossed import Difference, estimate, over_users, paired
from dealrec.recommenders.interface import Measurement

Floats = npt.NDArray[np.float64]


def primary_of(measured: Measurement) -> str:
    """Return the metric that the verdict is about: preference if it is measured, otherwise NLL."""
    return PREFERENCE if PREFERENCE in measured.users else NLL


def stops(config: ComparisonConfig, untrained: Measurement, full: Sequence[TrainedRun]) -> bool:
    """Return whether the trainings on all data show that no selector can gain anything."""
    if config.despite_no_headroom:
        return False
    found = headroom(untrained, full, None)
    return found is not None and not found.found


def headroom(
    untrained: Measurement, full: Sequence[TrainedRun], surrogate: Mapping[str, Floats] | None
) -> Headroom | None:
    """Compare the trainings on all data with the model before training; ``None`` if there are none.

    ``surrogate`` holds the surrogate's figures on the same candidates.
    """
    if not full:
        return None
    metric = primary_of(untrained)
    before, after = untrained.users[metric], _figures(full, metric)
    if len(after) > 1:
        found = paired(after, np.broadcast_to(before, after.shape))
    else:
        found = over_users(after[0], before)
    gain = _turned(metric, found)
    asked = None if surrogate is None else surrogate.get(metric)
    return Headroom(
        metric=metric,
        samples=len(full[0].selected.indices),
        runs=len(full),
        untrained=_figure(before[None]),
        trained=_figure(after),
        surrogate=None if asked is None else _figure(asked[None]),
        gain=gain,
        found=gain.low > 0,
    )


def best_runs(runs: Sequence[TrainedRun], metric: str) -> list[TrainedRun]:
    """Return the runs of the selector with the best mean at the largest budget."""
    largest = max(run.selected.budget for run in runs)
    groups: dict[str, list[TrainedRun]] = {}
    for run in runs:
        if run.selected.budget == largest:
            groups.setdefault(run.selected.selector, []).append(run)
    return max(
        groups.values(), key=lambda group: turned(metric, float(_figures(group, metric).mean()))
    )


def exchanged(untrained: Measurement, runs: Sequence[TrainedRun]) -> Exchanged | None:
    """Compare the trainings on exchanged histories with those on the same coresets as they were."""
    without = [run for run in runs if run.selected.selector == EXCHANGED]
    if not without:
        return None
    metric = primary_of(untrained)
    budgets = {run.selected.budget for run in without}
    chosen = [run for run in runs if run.selected.selector not in (EXCHANGED, ALL_DATA)]
    chosen = [run for run in chosen if run.selected.budget in budgets]
    best = best_runs(chosen, metric)[: len(without)]
    own, others = _figures(best, metric), _figures(without, metric)
    start = float(untrained.users[metric].mean())
    gained, left = (turned(metric, float(one.mean()) - start) for one in (own, others))
    return Exchanged(
        selector=best[0].selected.selector,
        budget=best[0].selected.budget,
        metric=metric,
        loss=_turned(metric, paired(own, others)),
        kept=max(0.0, left / gained) if gained > 0 else 0.0,
    )


def _figures(runs: Sequence[TrainedRun], metric: str) -> Floats:
    return np.stack([run.measurement.users[metric] for run in runs])


def _figure(figures: Floats) -> Figure:
    return Figure(**estimate(figures)._asdict())


def _turned(metric: str, found: Difference) -> Figure:
    """Turn the difference so that more is better."""
    if metric in LESS_IS_BETTER:
        return Figure(mean=-found.mean, low=-found.high, high=-found.low)
    return Figure(mean=found.mean, low=found.low, high=found.high)
