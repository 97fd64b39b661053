"""Measures the language model's effort, in one piece or as a plan, shards and their merge."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dealrec.config import EffortConfig
from dealrec.config.stages import StageName, StagePart
from dealrec.effort.candidates import candidate_pool
from dealrec.effort.parts import EffortPart, merge_effort
from dealrec.effort.scores import EffortScores
from dealrec.effort.scoring import score_effort_shard
from dealrec.influence.scores import InfluenceScores
from dealrec.language_models.batch_plan import BatchPlan, plan_samples
from dealrec.stages.context import StageContext, StageResult
from dealrec.stages.earlier import KeptEffort, kept_effort
from dealrec.stages.early import require_readable

Indices = npt.NDArray[np.int64]


def run(context: StageContext) -> StageResult:
    """Save the effort of every sample, or of every candidate. The details are the diagnostics.

    A part of the stage saves only the plan, or the effort of one shard.
    """
    if context.part is StagePart.PLAN:
        plan = _plan(context)
        plan.save(context.out)
        return StageResult({"samples": len(plan.order), "batches": plan.batches})
    if context.part is StagePart.SHARD:
        part = _shard(context, _saved_plan(context))
        part.save(context.out)
        return StageResult(part.diagnostics)
    if context.parts:
        plan = _saved_plan(context)
        folders = [path for name, path in context.parts.items() if name != StagePart.PLAN]
        scores = merge_effort(plan, [EffortPart.load(folder) for folder in folders])
    elif (kept := _kept(context)) is not None:
        scores = _continued(context, kept)
    else:
        scores = _measured(context)
    scores.save(context.out)
    return StageResult(scores.diagnostics)


def _measured(context: StageContext, samples: Indices | None = None) -> EffortScores:
    plan = _plan(context, samples)
    return merge_effort(plan, [_shard(context, plan)])


def _continued(context: StageContext, kept: KeptEffort) -> EffortScores:
    """Measure the samples without a kept effort, or all samples if the check of kept efforts fails."""
    pool = _pool(context)
    found = _measured(context, kept.to_measure(pool))
    check = kept.recheck(found)
    if check.holds:
        return kept.filled(found, pool, check)
    context.reporter.event("kept_effort_differs", **check.account(0))
    anew = context.checkpoint_dir / "anew"
    anew.mkdir(parents=True, exist_ok=True)
    whole = _measured(replace(context, checkpoint_dir=anew))
    return replace(whole, diagnostics={**whole.diagnostics, "continued": check.account(0)})


def _kept(context: StageContext) -> KeptEffort | None:
    if context.continued is None:
        return None
    return kept_effort(context.earlier, context.config, *context.load_samples())


def _pool(context: StageContext) -> Indices:
    dataset, samples = context.load_samples()
    pool = _candidates(context, samples.keys(dataset))
    return np.arange(len(samples)) if pool is None else pool


def _plan(context: StageContext, measured: Indices | None = None) -> BatchPlan:
    require_readable(context)
    dataset, samples = context.load_samples()
    if measured is None:
        measured = _candidates(context, samples.keys(dataset))
    return plan_samples(
        dataset,
        samples,
        context.config.prompt,
        _config(context),
        candidates=measured,
        reporter=context.reporter,
    )


def _saved_plan(context: StageContext) -> BatchPlan:
    return BatchPlan.load(context.parts[StagePart.PLAN])


def _shard(context: StageContext, plan: BatchPlan) -> EffortPart:
    """Measure the requested shard. A single shard is the whole plan."""
    dataset, samples = context.load_samples()
    context.replanned(_config(context).batch_tokens)
    return score_effort_shard(
        plan,
        plan.shards(context.shards)[context.shard],
        dataset,
        samples,
        context.config.prompt,
        _config(context),
        runtime=context.runtime,
        reporter=context.reporter,
        checkpoint_dir=context.checkpoint_dir,
        pieces=context.pieces,
    )


def _config(context: StageContext) -> EffortConfig:
    assert context.config.effort is not None
    return context.config.effort


def _candidates(context: StageContext, keys: pa.Array) -> Indices | None:
    """Return the candidates, drawn over the influence of this job; ``None`` if every sample is measured."""
    if StageName.INFLUENCE not in context.inputs:
        return None
    influence = InfluenceScores.load(context.inputs[StageName.INFLUENCE]).scores
    return candidate_pool(keys, influence, context.budget, context.config)
