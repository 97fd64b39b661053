"""Spends the budget on the scored samples."""

from typing import Any

from dealrec.config.stages import StageName
from dealrec.coresets.writer import REPORT, write_coreset
from dealrec.data.dataset import Dataset
from dealrec.data.samples import build_samples
from dealrec.evaluation.report import write_report
from dealrec.selection.interface import Scores
from dealrec.selection.select import select
from worker.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """The folder of the coreset; details are what the coreset's row shows."""
    dataset, config = Dataset.load(context.dataset), context.config
    samples = build_samples(dataset, config.sampling, config.min_history)
    influence, effort, candidates = _scores(context)
    scores = Scores(
        samples.keys(dataset),
        influence,
        effort,
        candidates,
        targets=samples.targets,
        history_lengths=samples.history_lengths,
    )
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


def _scores(context: StageContext) -> tuple[Any, Any, Any]:
    """Influence, effort and candidates [n]; the last two may be absent."""
    from dealrec.influence.scores import InfluenceScores

    influence = InfluenceScores.load(context.inputs[StageName.INFLUENCE]).scores
    if StageName.EFFORT not in context.inputs:
        return influence, None, None
    from dealrec.effort.scores import EffortScores

    effort = EffortScores.load(context.inputs[StageName.EFFORT])
    return influence, effort.scores, effort.candidates


def _facts(context: StageContext) -> dict[str, Any]:
    """What the library's pipeline puts into a manifest, from the stages of this job."""
    facts = {"surrogate": context.facts["surrogate"]["metrics"]}
    facts |= {
        name: context.facts[name]["details"]
        for name in ("influence", "effort")
        if name in context.facts
    }
    return facts
