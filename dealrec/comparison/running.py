"""Runs a comparison from the selected runs to the report. Each training is kept as soon as it ends."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.comparison.headroom import best_runs, primary_of, stops
from dealrec.comparison.preparing import Place, Training, prepared
from dealrec.comparison.report import write_comparison_report
from dealrec.comparison.results import ComparisonReport
from dealrec.comparison.runs import SelectedRun, TrainedRun, exchanged_run
from dealrec.comparison.summary import FinishedComparison, summarise
from dealrec.comparison.surrogate_choice import surrogate_choice
from dealrec.comparison.tables import UNTRAINED
from dealrec.config import EvaluationConfig
from dealrec.config.compared import ALL_DATA
from dealrec.config.comparison import ComparisonConfig
from dealrec.config.stages import StageName
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples
from dealrec.recommenders.held_out import HeldOutUsers

Floats = npt.NDArray[np.float64]
REPORT_JSON, REPORT_HTML, USERS = "report.json", "report.html", "users.parquet"


def compare(
    dataset: Dataset,
    samples: Samples,
    selected: Sequence[SelectedRun],
    config: ComparisonConfig,
    place: Place,
    *,
    budgets: Sequence[int],
    curve: Sequence[int] = (),
    seconds: Sequence[Mapping[StageName, float]],
    surrogate: Path | None = None,
) -> ComparisonReport:
    """Train on the coreset of every selector at every budget, and evaluate on held-out users.

    The untrained model and the trainings on all data come first; results in ``place.headroom`` are used
    again. If they show no headroom, the comparison ends there unless ``config.despite_no_headroom`` is
    set.

    Args:
        dataset: The data set, whose held-out users are evaluated.
        samples: The samples from which selectors select.
        selected: The runs, from :func:`~dealrec.comparison.runs.select_runs`.
        config: Resolved.
        place: Its ``out`` gets ``report.json``, ``report.html`` and ``users.parquet`` (the figures of
            every run and user).
        budgets: Its budgets in samples, in its order.
        curve: The budgets of its curve in samples, ascending.
        seconds: How long each stage before the selection took, for each run: the costs in the report
            are means over runs.
        surrogate: The folder of the first run's surrogate, which is evaluated on the same candidates.

    Raises:
        InputError: ``no_held_out_users``, and as
            :func:`~dealrec.language_models.loading.load_language_model`.
        Cancelled: When ``place.reporter`` says so.
        OSError: The disk has no room.
    """
    evaluation = config.config.evaluation
    assert evaluation is not None
    with prepared(dataset, samples, config, place) as ready:
        users = ready.trainer.examination.users
        found = choice(dataset, users, evaluation, surrogate)
        compared = [run for run in selected if run.budget in budgets]
        exchanged = config.seeds if compared else 0
        training = ready.training(selected, exchanged * _longest(compared))
        runs = _make_runs(training, selected, config, budgets)
        finished = FinishedComparison(
            dataset=dataset,
            samples=samples,
            config=config,
            budgets=tuple(budgets),
            curve=tuple(curve),
            selected=selected,
            runs=runs,
            untrained=training.untrained,
            surrogate=found,
            known=ready.known,
            users=users,
            seconds=seconds,
        )
    return written(finished, place)


def choice(
    dataset: Dataset, users: HeldOutUsers, evaluation: EvaluationConfig, surrogate: Path | None
) -> dict[str, Floats] | None:
    """Evaluate the surrogate in the folder, if there is one, on the users' candidates."""
    return None if surrogate is None else surrogate_choice(dataset, users, evaluation, surrogate)


def written(finished: FinishedComparison, place: Place) -> ComparisonReport:
    """Write the report, its page and the figures of every user."""
    report = summarise(finished)
    place.out.mkdir(parents=True, exist_ok=True)
    write_users(finished, place.out / USERS)
    (place.out / REPORT_JSON).write_text(report.model_dump_json(indent=2), encoding="utf-8")
    write_comparison_report(report, place.out / REPORT_HTML)
    return report


def _make_runs(
    training: Training,
    selected: Sequence[SelectedRun],
    config: ComparisonConfig,
    budgets: Sequence[int],
) -> list[TrainedRun]:
    """Make all runs, or only those on all data if they show no headroom."""
    full = training.make([run for run in selected if run.selector == ALL_DATA])
    if stops(config, training.untrained, full):
        training.end()
        return full
    runs = training.make([run for run in selected if run.selector != ALL_DATA])
    compared = [run for run in runs if run.selected.budget in budgets]
    best = best_runs(compared, primary_of(training.untrained)) if compared else []
    exchanged = training.make([exchanged_run(run.selected) for run in best[: config.seeds]])
    training.end()
    return [*runs, *full, *exchanged]


def _longest(runs: Sequence[SelectedRun]) -> int:
    """Return the largest number of steps that a training on the coreset of a selector takes."""
    return max((run.steps for run in runs if run.selector != ALL_DATA), default=0)


def write_users(finished: FinishedComparison, path: Path) -> None:
    """Write the figures of every user as Parquet, with a row for each run, metric and user.

    The untrained model is run 0 of budget 0.
    """
    figures = [(UNTRAINED, 0, 0, finished.untrained)]
    figures += [
        (run.selected.selector, run.selected.budget, run.selected.number, run.measurement)
        for run in finished.runs
    ]
    tables = [
        pa.table(
            {
                "selector": pa.repeat(selector, len(values)),
                "budget": pa.repeat(budget, len(values)),
                "run": pa.repeat(run, len(values)),
                "metric": pa.repeat(metric, len(values)),
                "user": pa.array(np.arange(len(values))),
                "value": pa.array(values),
            }
        )
        for selector, budget, run, measured in figures
        for metric, values in measured.users.items()
    ]
    pq.write_table(pa.concat_tables(tables), path, compression="zstd")
