"""The command that says how a job gets on, or how the server does."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dealrec.client.asking import (
    DEFAULT_SERVER,
    KeyOption,
    ServerOption,
    asking,
    plain_record,
    tell_warnings,
)
from dealrec.options import JsonOption
from dealrec.terminal import Panel, add_commands, examples, print_json, say

if TYPE_CHECKING:
    from dealrec.client.datasets import Dataset
    from dealrec.client.operation import ServerState, WorkerTask
    from dealrec.client.resources import Job

_UNITS = {"TB": 1e12, "GB": 1e9, "MB": 1e6, "kB": 1e3}


def register(application: typer.Typer) -> None:
    """Add the subcommand of this module."""
    add_commands(application, {"status": status_command}, panel=Panel.JOBS)


@examples("dealrec status job_01hxyz", "dealrec status")
def status_command(
    job_id: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="Id of a job (job_…).")
    ] = None,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Print the progress of a job or, without an id, the state of the server: queues, workers and storage.

    The state of the server needs a key with the scope `admin`.
    """
    with asking(server, key) as client:
        if job_id is None:
            state = client.server()
            print_json(plain_record(state)) if json else _say_server(state)
            return
        job = client.jobs.get(job_id)
        dataset = client.datasets.get(job.dataset_id)
    if json:
        print_json({**plain_record(job), "dataset": plain_record(dataset)})
    else:
        _say_job(job, dataset)


def _say_job(job: "Job[Any]", dataset: "Dataset[Any]") -> None:
    left = "" if job.eta_seconds is None else f", about {job.eta_seconds:,.0f} s left"
    say(f"{job.id} ({job.kind}): {job.state}{left}")
    for stage in job.stages:
        progress = stage.progress
        done = (
            "" if progress is None else f"{progress.done:,} of {progress.total:,} {progress.unit}s"
        )
        seconds = "" if stage.seconds is None else f"{stage.seconds:,.1f} s"
        state = "reused" if stage.reused else stage.state
        say(f"  {stage.name:<10} {state:<10} {done:<24} {seconds}".rstrip())
    for line in dataset.validation:
        say(line)
    for name, identifier in (("coreset", job.coreset_id), ("adapter", job.adapter_id)):
        if identifier is not None:
            say(f"{name} {identifier}")
    if job.error is not None:
        say(f"{job.error.get('title')}: {job.error.get('detail')}")
    tell_warnings(job.warnings)


def _say_server(state: "ServerState") -> None:
    for queue in state.queues:
        oldest = f", the longest for {queue.oldest_seconds:,.0f} s" if queue.waiting else ""
        say(
            f"queue {queue.queue:<4} {queue.waiting:,} waiting{oldest}; {queue.running:,} running; "
            f"workers: {queue.workers}"
        )
    for worker in state.workers:
        doing = ", ".join(map(_doing, worker.tasks)) or "nothing"
        seen = (
            ""
            if worker.present
            else f"; not seen since {worker.seen_at.astimezone():%Y-%m-%d %H:%M}"
        )
        say(f"worker {worker.id} ({', '.join(worker.queues)}): {doing}{seen}")
    if not state.workers:
        say("no worker has been seen")
    free = state.storage.free_bytes
    left = "" if free is None else f", {_size(free)} free"
    say(f"storage: {_size(state.storage.stored_bytes)}{left}")


def _doing(task: "WorkerTask") -> str:
    whose = " of another tenant" if task.foreign else f" of {task.job_id}" if task.job_id else ""
    return f"{task.stage}{whose} for {task.seconds:,.0f} s"


def _size(count: int) -> str:
    for unit, least in _UNITS.items():
        if count >= least:
            return f"{count / least:.1f} {unit}"
    return f"{count} B"
