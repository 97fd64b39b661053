"""Trains on the coresets of several selectors and evaluates the results."""

from dealrec.comparison.gate import stopped_report
from dealrec.comparison.kept_selections import KeptSelections
from dealrec.comparison.preparing import Place
from dealrec.comparison.results import ComparisonReport
from dealrec.comparison.running import compare
from dealrec.comparison.runs import select_runs
from dealrec.config import ComparisonConfig
from dealrec.config.stages import STAGES, JobOptions, StageName
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples
from dealrec.data.validation_users import Half
from dealrec.stages.context import StageContext, StageResult
from dealrec.stages.scored import load_scores


def run(context: StageContext) -> StageResult:
    """Write the report. The details are its verdict, its warnings, and the difference it could detect.

    Finished selections, finished runs and states of frozen layers are kept in ``context.cache``, if there
    is one, so that another comparison of the same data can use them again.
    """
    comparison = context.comparison
    assert comparison is not None
    dataset, samples = context.load_samples(Half.ASKED)
    if _stopped(context, comparison):
        report = stopped_report(
            dataset,
            samples,
            comparison,
            place_of(context),
            budgets=comparison.resolved_budgets(len(samples)),
            curve=comparison.resolved_curve(len(samples)),
            surrogate=context.inputs[StageName.SURROGATE],
        )
    else:
        report = _compared(context, comparison, dataset, samples)
    return StageResult(
        {
            "verdict": report.verdict,
            "warnings": report.warnings,
            "power": report.power and report.power.model_dump(mode="json"),
            "curve": report.curve and report.curve.model_dump(mode="json"),
        },
        {"runs": float(len(report.runs))},
    )


def place_of(context: StageContext) -> Place:
    """Return the folders that a stage of a comparison reads and writes."""
    cache = context.cache
    return Place(
        out=context.out,
        checkpoint_dir=cache / "runs" if cache else context.checkpoint_dir,
        work=cache,
        headroom=context.inputs.get(StageName.HEADROOM),
        runtime=context.runtime,
        reporter=context.reporter,
    )


def _stopped(context: StageContext, comparison: ComparisonConfig) -> bool:
    asked = context.facts.get(StageName.HEADROOM)
    options = JobOptions(context.config, comparison=comparison)
    return asked is not None and STAGES[StageName.HEADROOM].stops(options, asked.details)


def _compared(
    context: StageContext, comparison: ComparisonConfig, dataset: Dataset, samples: Samples
) -> ComparisonReport:
    budgets = comparison.resolved_budgets(len(samples))
    curve = comparison.resolved_curve(len(samples))
    place = place_of(context)
    kept = KeptSelections(
        place.checkpoint_dir,
        comparison,
        dataset.sha256,
        lambda run: context.of_run(run).inputs,
    )
    return compare(
        dataset,
        samples,
        select_runs(
            samples.keys(dataset).to_pylist(),
            lambda run: load_scores(context.of_run(run).inputs, dataset, samples),
            comparison,
            budgets=budgets,
            curve=curve,
            kept=kept,
            reporter=context.reporter,
        ),
        comparison,
        place,
        budgets=budgets,
        curve=curve,
        seconds=[
            {
                name: facts.seconds
                for name, facts in context.of_run(run).facts.items()
                if facts.seconds is not None
            }
            for run in range(comparison.most_runs)
        ],
        surrogate=context.inputs[StageName.SURROGATE],
    )
