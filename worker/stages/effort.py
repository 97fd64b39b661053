"""Scores the LLM's effort on every sample."""

from dealrec.data.dataset import Dataset
from dealrec.data.samples import build_samples
from dealrec.effort.scoring import score_effort
from worker.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """The effort of every sample; details are the scorer's diagnostics."""
    dataset, config = Dataset.load(context.dataset), context.config
    assert config.effort is not None
    scores = score_effort(
        dataset,
        build_samples(dataset, config.sampling, config.min_history),
        config.prompt,
        config.effort,
        runtime=context.runtime,
        reporter=context.reporter,
        checkpoint_dir=context.checkpoint_dir,
    )
    scores.save(context.out)
    return StageResult(scores.diagnostics)
