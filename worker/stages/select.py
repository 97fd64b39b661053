"""Spends the budget on the scored samples."""

from typing import Any

from dealrec.config.stages import EXTRA_STAGES, SCORE_STAGES, StageName
from dealrec.coresets.writer import REPORT, write_coreset
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples, build_samples
from dealrec.difficulty.scores import DifficultyScores
from dealrec.effort.scores import EffortScores
from dealrec.evaluation.report import write_report
from dealrec.influence.scores import InfluenceScores
from dealrec.selection.interface import Scores
from dealrec.selection.select import select
from dealrec.selection.vectors import MadeVectors
from worker.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """The folder of the coreset; details are what the coreset's row shows."""
    dataset, config = Dataset.load(context.dataset), context.config
    samples = build_samples(dataset, config.sampling, config.min_history)
    scores = _scores(context, dataset, samples)
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


def _scores(context: StageContext, dataset: Dataset, samples: Samples) -> Scores:
    """What the stages before made; vectors stay in their files."""
    inputs = context.inputs
    found: dict[str, Any] = {"effort": None}
    if StageName.EFFORT in inputs:
        effort = EffortScores.load(inputs[StageName.EFFORT])
        found = {"effort": effort.scores, "candidates": effort.candidates}
    if StageName.DIFFICULTY in inputs:
        difficulty = DifficultyScores.load(inputs[StageName.DIFFICULTY])
        found |= {"el2n": difficulty.el2n, "grand": difficulty.grand}
    for name in (StageName.EMBEDDING, StageName.GRADIENTS):
        if name in inputs:
            found[name.value] = MadeVectors.load(inputs[name]).vectors
    return Scores(
        samples.keys(dataset),
        InfluenceScores.load(inputs[StageName.INFLUENCE]).scores,
        targets=samples.targets,
        history_lengths=samples.history_lengths,
        **found,
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
