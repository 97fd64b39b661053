"""Writes records as offline runs of Weights & Biases, which ``wandb sync`` uploads; asks no server."""

from pathlib import Path

from dealrec.tracking.record import RunRecord, RunState


def write(place: str, record: RunRecord) -> str:
    """Write a run of the project ``dealrec`` below the folder ``place``.

    Returns:
        The name of the run's folder.
    """
    import wandb

    folder = Path(place).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    settings = wandb.Settings(
        mode="offline",
        console="off",
        silent=True,
        disable_code=True,
        disable_git=True,
        x_disable_stats=True,
        x_disable_meta=True,
        x_save_requirements=False,
    )
    run = wandb.init(
        project="dealrec",
        id=record.id,
        name=record.name,
        dir=folder,
        config={**record.parameters, **{f"tags/{tag}": text for tag, text in record.tags.items()}},
        settings=settings,
        reinit="create_new",
    )
    for stage in record.stages:
        axis = f"{stage.name}/{stage.unit}"
        run.define_metric(f"{stage.name}/*", step_metric=axis)
        for step, values in stage.rows():
            run.log({axis: step, **values})
    run.summary.update(record.figures())
    run.finish(exit_code=0 if record.state is RunState.FINISHED else 1)
    return Path(run.dir).parent.name
