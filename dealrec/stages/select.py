"""Spends the budget on the scored samples."""

from collections.abc import Mapping

from dealrec.config.continuation import Carry
from dealrec.config.stages import STAGES
from dealrec.coresets.writer import REPORT, write_coreset
from dealrec.reports.report import write_report
from dealrec.selection.carried import carried
from dealrec.selection.select import select
from dealrec.stages.context import StageContext, StageResult
from dealrec.stages.earlier import earlier_members
from dealrec.stages.scored import load_scores


def run(context: StageContext) -> StageResult:
    """Write the coreset's folder. The details are the facts in the coreset's row."""
    dataset, samples = context.load_samples(None)
    scores = load_scores(context.inputs, dataset, samples)
    chosen = select(scores, context.budget, context.config.selection, context.reporter)
    facts = _facts(context)
    going_on = context.continued
    if going_on is not None and (going_on.coreset is not Carry.ANEW or context.earlier):
        members = earlier_members(context.earlier, dataset, samples)
        seed = context.config.selection.seed
        kept = carried(scores, chosen, members, going_on, seed)
        chosen, facts["select"] = kept.selection, {"continued": kept.account(going_on)}
    coreset = write_coreset(
        dataset,
        samples,
        scores,
        chosen,
        config=context.config.of_coreset(),
        budget_requested=context.budget_requested,
        target=context.target,
        facts=facts,
        out=context.out,
    )
    write_report(context.out, context.out / REPORT)
    context.reporter.progress(coreset.size, coreset.size, "sample")
    return StageResult(
        {"size": coreset.size, "sha256": coreset.sha256, "coverage": coreset.coverage}
    )


def _facts(context: StageContext) -> dict[str, Mapping[str, object]]:
    """Return the manifest's account of each earlier stage."""
    return {
        name.value: spec.account(facts.metrics, facts.details)
        for name, spec in STAGES.items()
        if (facts := context.facts.get(name)) is not None
    }
