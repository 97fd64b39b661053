"""Scores the LLM's effort on every sample."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dealrec.config.stages import StageName
from dealrec.data.dataset import Dataset
from dealrec.data.samples import build_samples
from dealrec.effort.candidates import candidate_pool
from dealrec.effort.scoring import score_effort
from dealrec.influence.scores import InfluenceScores
from worker.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """The effort of every sample, or of every candidate; details are the scorer's diagnostics."""
    dataset, config = Dataset.load(context.dataset), context.config
    assert config.effort is not None
    samples = build_samples(dataset, config.sampling, config.min_history)
    scores = score_effort(
        dataset,
        samples,
        config.prompt,
        config.effort,
        candidates=_candidates(context, samples.keys(dataset)),
        runtime=context.runtime,
        reporter=context.reporter,
        checkpoint_dir=context.checkpoint_dir,
    )
    scores.save(context.out)
    return StageResult(scores.diagnostics)


def _candidates(context: StageContext, keys: pa.Array) -> npt.NDArray[np.int64] | None:
    """The pool, drawn over the influence of this job; ``None`` where all samples are measured."""
    if StageName.INFLUENCE not in context.inputs:
        return None
    influence = InfluenceScores.load(context.inputs[StageName.INFLUENCE]).scores
    return candidate_pool(keys, influence, context.budget, context.config)
