"""Trains and measures on the coresets of several selectors."""

from dealrec.comparison.running import compare
from dealrec.comparison.runs import select_runs
from dealrec.stages.context import StageContext, StageResult
from dealrec.stages.scored import load_scores


def run(context: StageContext) -> StageResult:
    """Write the report; the details are its verdict and its warnings.

    Finished runs and states of frozen layers are kept in ``context.cache`` where there is one, so that
    another comparison of the same data can use them again.
    """
    comparison, cache = context.comparison, context.cache
    assert comparison is not None
    dataset, samples = context.load_samples()
    budgets = comparison.resolved_budgets(len(samples))
    report = compare(
        dataset,
        samples,
        select_runs(
            samples.keys(dataset).to_pylist(),
            load_scores(context.inputs, dataset, samples),
            comparison,
            budgets=budgets,
            reporter=context.reporter,
        ),
        comparison,
        budgets=budgets,
        out=context.out,
        checkpoint_dir=cache / "runs" if cache else context.checkpoint_dir,
        work=cache,
        seconds={
            name: facts.seconds
            for name, facts in context.facts.items()
            if facts.seconds is not None
        },
        runtime=context.runtime,
        reporter=context.reporter,
    )
    return StageResult(
        {"verdict": report.verdict, "warnings": report.warnings},
        {"runs": float(len(report.runs))},
    )
