"""Trains and measures on the coresets of several selectors."""

from dealrec.comparison.running import compare
from dealrec.comparison.runs import select_runs
from dealrec.config.stages import StageName
from dealrec.data.dataset import Dataset
from dealrec.data.samples import build_samples
from dealrec.worker.stages.context import StageContext, StageResult
from dealrec.worker.stages.scored import load_scores


def run(context: StageContext) -> StageResult:
    """The folder of the report; details are its verdict and its warnings."""
    dataset, comparison = Dataset.load(context.dataset), context.comparison
    assert comparison is not None
    samples = build_samples(dataset, context.config.sampling, context.config.min_history)
    seconds = {
        StageName(name): facts["seconds"]
        for name, facts in context.facts.items()
        if facts["seconds"] is not None
    }
    budgets = comparison.resolved_budgets(len(samples))
    report = compare(
        dataset,
        samples,
        select_runs(
            samples.keys(dataset).to_pylist(),
            load_scores(context, dataset, samples),
            comparison,
            budgets=budgets,
            reporter=context.reporter,
        ),
        comparison,
        budgets=budgets,
        out=context.out,
        checkpoint_dir=context.checkpoint_dir,
        seconds=seconds,
        runtime=context.runtime,
        reporter=context.reporter,
    )
    return StageResult(
        {"verdict": report.verdict, "warnings": report.warnings},
        {"runs": float(len(report.runs))},
    )
