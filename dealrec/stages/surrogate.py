"""Trains the surrogate, or the ensemble of them."""

from dataclasses import asdict

from dealrec.stages.context import StageContext, StageResult
from dealrec.stages.earlier import earlier_surrogates
from dealrec.stages.early import require_readable
from dealrec.surrogates.ensemble import train_ensemble
from dealrec.surrogates.held_out import held_out_losses, losses_left_out


def run(context: StageContext) -> StageResult:
    """Save the trained ensemble. The metrics are those of the best checkpoints.

    This is the first stage of a job that takes long, so the samples are checked before it starts.
    """
    require_readable(context)
    config, dataset, continued = (
        context.config.surrogate,
        context.load_dataset(),
        context.continued,
    )
    start, told, metrics = None, dict[str, object](), dict[str, float]()
    if continued is not None:
        config = config.model_copy(update={"epochs": continued.surrogate_epochs})
        replay = continued.surrogate_replay
        start, before = earlier_surrogates(context.earlier, config, dataset, replay)
        losses = held_out_losses(start, before, dataset)
        told["drift"], metrics = asdict(losses), losses.metrics()
    ensemble = train_ensemble(
        dataset,
        config,
        start=start,
        checkpoint_dir=context.checkpoint_dir,
        runtime=context.runtime,
        reporter=context.reporter,
    )
    ensemble.save(context.out)
    if start is not None:
        forgotten = losses_left_out(start, ensemble, before, dataset)
        told["continued"] = start.account(dataset) | forgotten
    return StageResult({"history": ensemble.history, **told}, {**ensemble.metrics, **metrics})
