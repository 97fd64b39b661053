"""Subcommands of the workers: ``dealrec worker`` and ``dealrec sweep``."""

import os
import sys
from typing import Annotated

import typer

from dealrec.extras import Extra
from dealrec.terminal import Panel, add_commands, examples

_QUEUES = ("cpu", "gpu")


def register(app: typer.Typer) -> None:
    """Add the commands to ``dealrec``."""
    add_commands(app, {"worker": worker}, needs=Extra.WORKER, panel=Panel.OPERATION)
    add_commands(app, {"sweep": sweep}, needs=Extra.SERVICE, panel=Panel.OPERATION)


@examples(
    "dealrec worker",
    "dealrec worker --queues gpu",
)
def worker(
    queues: Annotated[
        str,
        typer.Option(
            help="The queues to take stages from. `cpu,gpu` runs everything on this machine, with or "
            "without a GPU. If there are also GPU machines, give a CPU worker `cpu` alone."
        ),
    ] = "cpu,gpu",
) -> None:
    """Run a Celery worker, which runs stages of jobs one at a time. DEALREC_BROKER_URL names the broker."""
    from dealrec.app.settings import Settings

    names = [name.strip() for name in queues.split(",")]
    if not set(names) <= set(_QUEUES):
        raise typer.BadParameter(f"the queues are {' and '.join(_QUEUES)}", param_hint="--queues")
    if not Settings().broker_url:
        raise typer.BadParameter(
            "DEALREC_BROKER_URL is not set. Set it to the address of the Celery broker. Without a "
            "broker, `dealrec serve` runs a worker of its own."
        )
    # The process becomes Celery's, so that signals and exit status are its own.
    command = [sys.executable, "-m", "celery", "--app", "dealrec.worker.celery:celery", "worker"]
    command += ["--queues", ",".join(names), "--hostname", f"dealrec-{os.getpid()}@%h"]
    os.execv(sys.executable, [*command, "--without-gossip", "--without-mingle"])  # noqa: S606


@examples("dealrec sweep")
def sweep() -> None:
    """Sweep once: expired leases, lost wake-ups, waiting jobs, schedules that are due, orphaned files."""
    from dealrec.app.kit.database import Database
    from dealrec.app.kit.storage import Storage
    from dealrec.app.settings import Settings
    from dealrec.worker.sweeper import sweep as sweep_once

    settings = Settings()
    database = Database(settings)
    try:
        done = sweep_once(settings, database, Storage(settings), orphans=True)
    finally:
        database.dispose()
    typer.echo("Swept." if done else "Another worker is sweeping.")
