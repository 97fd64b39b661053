"""Scores the LLM's effort on every sample: in one piece, or as a plan, shards and their merge."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dealrec.config.stages import StageName, StagePart
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples, build_samples
from dealrec.effort.candidates import candidate_pool
from dealrec.effort.parts import EffortPart, merge_effort
from dealrec.effort.scoring import score_effort_shard
from dealrec.influence.scores import InfluenceScores
from dealrec.language_models.batch_plan import BatchPlan, plan_samples
from dealrec.worker.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """The effort of every sample, or of every candidate; details are the scorer's diagnostics.

    Of a part: the plan, or the effort of a shard.
    """
    if context.part is StagePart.PLAN:
        plan = _plan(context)
        plan.save(context.out)
        return StageResult({"samples": len(plan.order), "batches": plan.batches})
    if context.part is StagePart.SHARD:
        part = _measured(context, _planned(context))
        part.save(context.out)
        return StageResult(part.diagnostics)
    if context.parts:
        plan = _planned(context)
        folders = [path for name, path in context.parts.items() if name != StagePart.PLAN]
        scores = merge_effort(plan, [EffortPart.load(folder) for folder in folders])
    else:
        plan = _plan(context)
        scores = merge_effort(plan, [_measured(context, plan)])
    scores.save(context.out)
    return StageResult(scores.diagnostics)


def _plan(context: StageContext) -> BatchPlan:
    dataset, samples = _samples(context)
    assert context.config.effort is not None
    return plan_samples(
        dataset,
        samples,
        context.config.prompt,
        context.config.effort,
        candidates=_candidates(context, samples.keys(dataset)),
        reporter=context.reporter,
    )


def _planned(context: StageContext) -> BatchPlan:
    return BatchPlan.load(context.parts[StagePart.PLAN])


def _measured(context: StageContext, plan: BatchPlan) -> EffortPart:
    """The shard that is asked for; it is all of the plan where there is one."""
    dataset, samples = _samples(context)
    assert context.config.effort is not None
    if context.pieces > 1:
        tokens = context.config.effort.batch_tokens // context.pieces
        context.reporter.event("replanned", batch_tokens=tokens)
    return score_effort_shard(
        plan,
        plan.shards(context.shards)[context.shard],
        dataset,
        samples,
        context.config.prompt,
        context.config.effort,
        runtime=context.runtime,
        reporter=context.reporter,
        checkpoint_dir=context.checkpoint_dir,
        pieces=context.pieces,
    )


def _samples(context: StageContext) -> tuple[Dataset, Samples]:
    dataset = Dataset.load(context.dataset)
    return dataset, build_samples(dataset, context.config.sampling, context.config.min_history)


def _candidates(context: StageContext, keys: pa.Array) -> npt.NDArray[np.int64] | None:
    """The pool, drawn over the influence of this job; ``None`` where all samples are measured."""
    if StageName.INFLUENCE not in context.inputs:
        return None
    influence = InfluenceScores.load(context.inputs[StageName.INFLUENCE]).scores
    return candidate_pool(keys, influence, context.budget, context.config)
