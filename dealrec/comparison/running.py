"""A comparison from the selected runs to the report; each training is kept as it ends."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.comparison.headroom import best_runs, primary_of, stops
from dealrec.comparison.kept import KeptRuns
from dealrec.comparison.report import write_comparison_report
from dealrec.comparison.results import ComparisonReport
from dealrec.comparison.runs import SelectedRun, TrainedRun, exchanged_run
from dealrec.comparison.summary import FinishedComparison, summarise
from dealrec.comparison.surrogate_choice import surrogate_choice
from dealrec.comparison.tables import UNTRAINED
from dealrec.comparison.training import RunTrainer
from dealrec.config.comparison import ALL_DATA, ComparisonConfig
from dealrec.config.runtime import Runtime
from dealrec.config.stages import StageName
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples
from dealrec.language_models.loading import load_language_model
from dealrec.progress import SILENT, Reporter
from dealrec.recommenders.interface import Measurement
from dealrec.runtime import apply_runtime

REPORT_JSON, REPORT_HTML, USERS = "report.json", "report.html", "users.parquet"


def compare(
    dataset: Dataset,
    samples: Samples,
    selected: Sequence[SelectedRun],
    config: ComparisonConfig,
    *,
    budgets: Sequence[int],
    curve: Sequence[int] = (),
    out: Path,
    checkpoint_dir: Path | None = None,
    work: Path | None = None,
    seconds: Sequence[Mapping[StageName, float]],
    surrogate: Path | None = None,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
) -> ComparisonReport:
    """Train on the coreset of every selector at every budget, and measure on held-out users.

    The model as it is and the trainings on all data come first. Where these show no headroom, the
    comparison ends there unless ``config.despite_no_headroom`` is set.

    Args:
        dataset: Its users are held out.
        samples: What is selected from.
        selected: Its runs, from :func:`~dealrec.comparison.runs.select_runs`.
        config: Resolved.
        budgets: Its budgets in samples, in its order.
        curve: The budgets of its curve in samples, ascending.
        out: It gets ``report.json``, ``report.html`` and ``users.parquet`` (the figures of every run
            and user).
        checkpoint_dir: Where every trained run and the catalogue's vectors are kept; a comparison of
            the same things goes on from there and makes the same report.
        work: Where states of frozen layers are kept for later comparisons; default: a temporary
            folder beside ``out``.
        seconds: How long each stage before the selection took, for each run: the costs in the report
            are means over runs.
        surrogate: Folder of the first run's surrogate, which is asked about the same candidates.
        runtime: Device and threads.
        reporter: It gets ``title`` and ``text`` while vectors and states are kept, then ``step`` of
            all trainings.

    Raises:
        InputError: ``no_held_out_users``, and as
            :func:`~dealrec.language_models.loading.load_language_model`.
        Cancelled: When ``reporter`` says so.
        OSError: The disk has no room.
    """
    assert config.config.finetune is not None
    trained = config.config.finetune
    device = apply_runtime(runtime or Runtime())
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if work is None:
            beside = tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent)
            work = Path(stack.enter_context(beside))
        loaded = load_language_model(
            trained.model,
            dtype=trained.dtype,
            device=device,
            quantization=trained.quantization,
            reporter=reporter,
        )
        trainer = RunTrainer(
            dataset,
            samples,
            config,
            loaded,
            trunk=work / "trunk",
            catalogue=(checkpoint_dir or work) / "catalogue",
            reporter=reporter,
        )
        kept = KeptRuns(checkpoint_dir, config, dataset.sha256, loaded.revision)
        evaluation, users = config.config.evaluation, trainer.examination.users
        assert evaluation is not None
        choice = None
        if surrogate is not None:
            choice = surrogate_choice(dataset, users, evaluation, surrogate)
        compared = [run for run in selected if run.budget in budgets]
        exchanged = config.seeds if compared else 0
        training = _Training(trainer, kept, reporter, selected, exchanged * _longest(compared))
        finished = FinishedComparison(
            dataset=dataset,
            samples=samples,
            config=config,
            budgets=tuple(budgets),
            curve=tuple(curve),
            selected=selected,
            runs=_make_runs(training, selected, config, budgets),
            untrained=training.untrained,
            surrogate=choice,
            recommender=trainer.recommender,
            users=users,
            text_tokens=trainer.text_tokens(),
            seconds=seconds,
        )
        report = summarise(finished)
    write_users(finished, out / USERS)
    (out / REPORT_JSON).write_text(report.model_dump_json(indent=2), encoding="utf-8")
    write_comparison_report(report, out / REPORT_HTML)
    return report


def _make_runs(
    training: "_Training",
    selected: Sequence[SelectedRun],
    config: ComparisonConfig,
    budgets: Sequence[int],
) -> list[TrainedRun]:
    """Make all runs, those on all data alone where they show no headroom."""
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
    """The most steps that a training on the coreset of a selector takes."""
    return max((run.steps for run in runs if run.selector != ALL_DATA), default=0)


class _Training:
    """Trains runs in the order in which they are asked for; a run that is kept is read instead.

    Whenever something is trained, the states of all texts so far are kept in the same order, so that a
    comparison that goes on ends with the same figures. ``further`` steps follow those of ``selected``.
    """

    def __init__(
        self,
        trainer: RunTrainer,
        kept: KeptRuns,
        reporter: Reporter,
        selected: Sequence[SelectedRun],
        further: int,
    ) -> None:
        self._trainer, self._kept, self._reporter = trainer, kept, reporter
        self._total = sum(run.steps for run in selected) + further
        self._done, self._made = 0, 0
        self._asked: list[Sequence[SelectedRun]] = []
        self.untrained = self._untrained()

    def make(self, selected: Sequence[SelectedRun]) -> list[TrainedRun]:
        """Train and measure each of ``selected`` that is not kept; return all in order."""
        self._asked.append(selected)
        found = [self._kept.read(run) for run in selected]
        if any(run is None for run in found):
            self._keep_texts()
        self._count([run for run in found if run is not None])
        made = []
        for run, before in zip(selected, found, strict=True):
            made.append(before or self._train(run))
        return made

    def _train(self, run: SelectedRun) -> TrainedRun:
        counter = _counter(self._reporter, self._done, run.steps, self._total)
        trained = self._trainer.train(run, counter)
        self._kept.write(trained)
        self._count([trained])
        return trained

    def end(self) -> None:
        """Report that nothing is left to do."""
        self._reporter.progress(self._total, self._total, "step")

    def _count(self, runs: Sequence[TrainedRun]) -> None:
        self._done += sum(run.selected.steps for run in runs)
        self._made += len(runs)
        if runs:
            self._reporter.metric("runs", self._made)

    def _keep_texts(self) -> None:
        for selected in self._asked:
            self._trainer.keep(selected, self._reporter)

    def _untrained(self) -> Measurement:
        measured = self._kept.read_untrained()
        if measured is None:
            self._trainer.keep([], self._reporter)
            measured = self._trainer.untrained(lambda: self._reporter.progress(0, 1, "step"))
            self._kept.write_untrained(measured)
        return measured


def _counter(reporter: Reporter, done: int, steps: int, total: int) -> Callable[[], None]:
    """Make a function that is called after each step of a run, and further while it is measured."""
    count = 0

    def step() -> None:
        nonlocal count
        count = min(count + 1, steps)
        reporter.progress(done + count, total, "step")

    return step


def write_users(finished: FinishedComparison, path: Path) -> None:
    """Write the figures of every user as Parquet: a row for each run, metric and user.

    The model as it is stands there as run 0 of budget 0.
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
