"""Trains the surrogate, or the ensemble of them."""

from dealrec.stages.context import StageContext, StageResult
from dealrec.stages.early import require_readable
from dealrec.surrogates.ensemble import train_ensemble


def run(context: StageContext) -> StageResult:
    """Save the trained ensemble; the metrics are those of the best checkpoints.

    It is the first stage of a job that takes long, so the samples are looked at first.
    """
    require_readable(context)
    ensemble = train_ensemble(
        context.load_dataset(),
        context.config.surrogate,
        checkpoint_dir=context.checkpoint_dir,
        runtime=context.runtime,
        reporter=context.reporter,
    )
    ensemble.save(context.out)
    return StageResult({"history": ensemble.history}, ensemble.metrics)
