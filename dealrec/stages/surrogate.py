"""Trains the surrogate, or the ensemble of them."""

from dealrec.stages.context import StageContext, StageResult
from dealrec.stages.earlier import earlier_surrogates
from dealrec.stages.early import require_readable
from dealrec.surrogates.ensemble import train_ensemble


def run(context: StageContext) -> StageResult:
    """Save the trained ensemble; the metrics are those of the best checkpoints.

    It is the first stage of a job that takes long, so the samples are looked at first.
    """
    require_readable(context)
    config, dataset = context.config.surrogate, context.load_dataset()
    start, told = None, dict[str, object]()
    if context.continued is not None:
        config = config.model_copy(update={"epochs": context.continued.surrogate_epochs})
        start = earlier_surrogates(context.earlier, config)
        told["continued"] = start.account(dataset)
    ensemble = train_ensemble(
        dataset,
        config,
        start=start,
        checkpoint_dir=context.checkpoint_dir,
        runtime=context.runtime,
        reporter=context.reporter,
    )
    ensemble.save(context.out)
    return StageResult({"history": ensemble.history, **told}, ensemble.metrics)
