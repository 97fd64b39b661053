"""Trains and measures on the coresets of several selectors."""

from dealrec.comparison.running import compare
from dealrec.comparison.runs import select_runs
from dealrec.config.stages import StageName
from dealrec.data.validation_users import Half
from dealrec.stages.context import StageContext, StageResult
from dealrec.stages.scored import load_scores


def run(context: StageContext) -> StageResult:
    """Write the report; the details are its verdict, its warnings, and what it could have shown.

    Finished runs and states of frozen layers are kept in ``context.cache`` where there is one, so that
    another comparison of the same data can use them again.
    """
    comparison, cache = context.comparison, context.cache
    assert comparison is not None
    dataset, samples = context.load_samples(Half.ASKED)
    budgets = comparison.resolved_budgets(len(samples))
    curve = comparison.resolved_curve(len(samples))
    report = compare(
        dataset,
        samples,
        select_runs(
            samples.keys(dataset).to_pylist(),
            lambda run: load_scores(context.of_run(run).inputs, dataset, samples),
            comparison,
            budgets=budgets,
            curve=curve,
            reporter=context.reporter,
        ),
        comparison,
        budgets=budgets,
        curve=curve,
        out=context.out,
        checkpoint_dir=cache / "runs" if cache else context.checkpoint_dir,
        work=cache,
        seconds=[
            {
                name: facts.seconds
                for name, facts in context.of_run(run).facts.items()
                if facts.seconds is not None
            }
            for run in range(comparison.most_runs)
        ],
        surrogate=context.inputs[StageName.SURROGATE],
        runtime=context.runtime,
        reporter=context.reporter,
    )
    return StageResult(
        {
            "verdict": report.verdict,
            "warnings": report.warnings,
            "power": report.power and report.power.model_dump(mode="json"),
            "curve": report.curve and report.curve.model_dump(mode="json"),
        },
        {"runs": float(len(report.runs))},
    )
