"""A comparison from the selected runs to the report; each training is kept as it ends."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.comparison.kept import KeptRuns
from dealrec.comparison.report import write_comparison_report
from dealrec.comparison.results import ComparisonReport
from dealrec.comparison.runs import SelectedRun, TrainedRun
from dealrec.comparison.summary import FinishedComparison, summarise
from dealrec.comparison.training import RunTrainer
from dealrec.config.comparison import ComparisonConfig
from dealrec.config.runtime import Runtime
from dealrec.config.stages import StageName
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples
from dealrec.language_models.loading import load_language_model
from dealrec.progress import SILENT, Reporter
from dealrec.runtime import apply_runtime

REPORT_JSON, REPORT_HTML, USERS = "report.json", "report.html", "users.parquet"


def compare(
    dataset: Dataset,
    samples: Samples,
    selected: Sequence[SelectedRun],
    config: ComparisonConfig,
    *,
    budgets: Sequence[int],
    out: Path,
    checkpoint_dir: Path | None = None,
    work: Path | None = None,
    seconds: Mapping[StageName, float],
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
) -> ComparisonReport:
    """Train on the coreset of every selector at every budget, and measure on held-out users.

    Args:
        dataset: Its users are held out.
        samples: What is selected from.
        selected: Its runs, from :func:`~dealrec.comparison.runs.select_runs`.
        config: Resolved.
        budgets: Its budgets in samples, in its order.
        out: It gets ``report.json``, ``report.html`` and ``users.parquet`` (the figures of every run
            and user).
        checkpoint_dir: Where every trained run and the catalogue's vectors are kept; a comparison of
            the same things goes on from there and makes the same report.
        work: Where states of frozen layers are kept for later comparisons; default: a temporary
            folder beside ``out``.
        seconds: How long each stage before the selection took, for the costs in the report.
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
    model, dtype = config.config.finetune.model, config.config.finetune.dtype
    device = apply_runtime(runtime or Runtime())
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if work is None:
            beside = tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent)
            work = Path(stack.enter_context(beside))
        loaded = load_language_model(model, dtype=dtype, device=device, reporter=reporter)
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
        untrained, runs = _train(selected, trainer, kept, reporter)
        finished = FinishedComparison(
            dataset=dataset,
            samples=samples,
            config=config,
            budgets=tuple(budgets),
            runs=runs,
            untrained=untrained,
            recommender=trainer.recommender,
            users=trainer.examination.users,
            text_tokens=trainer.text_tokens(),
            seconds=seconds,
        )
        report = summarise(finished)
    write_users(runs, out / USERS)
    (out / REPORT_JSON).write_text(report.model_dump_json(indent=2), encoding="utf-8")
    write_comparison_report(report, out / REPORT_HTML)
    return report


def _train(
    selected: Sequence[SelectedRun], trainer: RunTrainer, kept: KeptRuns, reporter: Reporter
) -> tuple[dict[str, float], list[TrainedRun]]:
    """Train every run that is not kept; return the untrained model's metrics and all runs in order."""
    runs = [kept.read(run) for run in selected]
    if any(run is None for run in runs):
        trainer.keep(selected, reporter)
    untrained = kept.read_untrained()
    if untrained is None:
        untrained = trainer.untrained(lambda: reporter.progress(0, 1, "step")).means
        kept.write_untrained(untrained)
    total = sum(run.steps for run in selected)
    done = sum(run.selected.steps for run in runs if run is not None)
    for place, run in enumerate(selected):
        if runs[place] is None:
            trained = trainer.train(run, _counter(reporter, done, run.steps, total))
            kept.write(trained)
            runs[place] = trained
            done += run.steps
            reporter.metric("runs", sum(run is not None for run in runs))
    reporter.progress(done, total, "step")
    return untrained, [run for run in runs if run is not None]


def _counter(reporter: Reporter, done: int, steps: int, total: int) -> Callable[[], None]:
    """Make a function that is called after each step of a run, and further while it is measured."""
    count = 0

    def step() -> None:
        nonlocal count
        count = min(count + 1, steps)
        reporter.progress(done + count, total, "step")

    return step


def write_users(runs: Sequence[TrainedRun], path: Path) -> None:
    """Write the figures of every user as Parquet: a row for each run, metric and user."""
    tables = []
    for run in runs:
        for metric, values in run.measurement.users.items():
            count = len(values)
            tables.append(
                pa.table(
                    {
                        "selector": pa.repeat(run.selected.selector, count),
                        "budget": pa.repeat(run.selected.budget, count),
                        "run": pa.repeat(run.selected.number, count),
                        "metric": pa.repeat(metric, count),
                        "user": pa.array(np.arange(count)),
                        "value": pa.array(values),
                    }
                )
            )
    pq.write_table(pa.concat_tables(tables), path, compression="zstd")
