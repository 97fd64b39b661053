"""Spends the budget on the scored samples."""

from typing import Any

from dealrec.config.stages import EXTRA_STAGES, SCORE_STAGES
from dealrec.coresets.writer import REPORT, write_coreset
from dealrec.data.dataset import Dataset
from dealrec.data.samples import build_samples
from dealrec.reports.report import write_report
from dealrec.selection.select import select
from dealrec.worker.stages.context import StageContext, StageResult
from dealrec.worker.stages.scored import load_scores


def run(context: StageContext) -> StageResult:
    """The folder of the coreset; details are what the coreset's row shows."""
    dataset, config = Dataset.load(context.dataset), context.config
    samples = build_samples(dataset, config.sampling, config.min_history)
    scores = load_scores(context, dataset, samples)
    coreset = write_coreset(
        dataset,
        samples,
        scores,
        select(scores, context.budget, config.selection),
        config=config,
        budget_requested=context.budget_requested,
        facts=_facts(context),
        out=context.out,
    )
    write_report(context.out, context.out / REPORT)
    context.reporter.progress(coreset.size, coreset.size, "sample")
    return StageResult(
        {"size": coreset.size, "sha256": coreset.sha256, "coverage": coreset.coverage}
    )


def _facts(context: StageContext) -> dict[str, Any]:
    """What the library's pipeline puts into a manifest, from the stages of this job."""
    facts = {"surrogate": context.facts["surrogate"]["metrics"]}
    facts |= {
        name.value: context.facts[name.value]["details"]
        for name in (*SCORE_STAGES, *EXTRA_STAGES)
        if name.value in context.facts
    }
    return facts
