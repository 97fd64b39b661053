"""Compares the language model's losses with and without the history."""

from dealrec.difficulty.following import score_following
from dealrec.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """Save both losses of every sample. The details say how they were measured."""
    dataset, samples = context.load_samples()
    context.replanned(context.config.ifd.batch_tokens)
    scores = score_following(
        dataset,
        samples,
        context.config.prompt,
        context.config.ifd,
        runtime=context.runtime,
        reporter=context.reporter,
        checkpoint_dir=context.checkpoint_dir,
        pieces=context.pieces,
    )
    scores.save(context.out)
    return StageResult(scores.diagnostics)
