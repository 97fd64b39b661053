"""Trains the surrogate, or the ensemble of them."""

from dealrec.data.dataset import Dataset
from dealrec.surrogates.ensemble import train_ensemble
from dealrec.worker.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """The trained ensemble; metrics are those of the best checkpoints."""
    ensemble = train_ensemble(
        Dataset.load(context.dataset),
        context.config.surrogate,
        checkpoint_dir=context.checkpoint_dir,
        runtime=context.runtime,
        reporter=context.reporter,
    )
    ensemble.save(context.out)
    return StageResult({"history": ensemble.history}, ensemble.metrics)
