"""Trains the surrogate, or the ensemble of them."""

from dealrec.stages.context import StageContext, StageResult
from dealrec.surrogates.ensemble import train_ensemble


def run(context: StageContext) -> StageResult:
    """Save the trained ensemble; the metrics are those of the best checkpoints."""
    ensemble = train_ensemble(
        context.load_dataset(),
        context.config.surrogate,
        checkpoint_dir=context.checkpoint_dir,
        runtime=context.runtime,
        reporter=context.reporter,
    )
    ensemble.save(context.out)
    return StageResult({"history": ensemble.history}, ensemble.metrics)
