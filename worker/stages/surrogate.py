"""Trains the surrogate."""

from dealrec.data.dataset import Dataset
from dealrec.surrogates.training import train_surrogate
from worker.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """The trained surrogate; metrics are those of its best checkpoint."""
    surrogate = train_surrogate(
        Dataset.load(context.dataset),
        context.config.surrogate,
        checkpoint_dir=context.checkpoint_dir,
        runtime=context.runtime,
        reporter=context.reporter,
    )
    surrogate.save(context.out)
    return StageResult({"history": surrogate.history}, surrogate.metrics)
