"""Commands that list what is on a server, and that stop and continue jobs."""

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dealrec.client.asking import (
    DEFAULT_SERVER,
    JobArgument,
    KeyOption,
    ServerOption,
    asking,
    plain_record,
)
from dealrec.config.wording import counted
from dealrec.errors import InputError
from dealrec.options import JsonOption
from dealrec.terminal import Panel, add_commands, examples, print_json, say, tell

if TYPE_CHECKING:
    from dealrec.client.adapters import Adapter
    from dealrec.client.datasets import Dataset
    from dealrec.client.records import Budget, Record
    from dealrec.client.resources import Coreset, Job

LimitOption = Annotated[int, typer.Option(min=1, help="The largest number of entries to print.")]
StateOption = Annotated[
    str | None, typer.Option(help="Only jobs in this state, such as running or failed.")
]
DatasetOption = Annotated[
    str | None,
    typer.Option("--dataset", metavar="DATASET", help="Only those of this data set (ds_…)."),
]

_AREAS = {"ds": "datasets", "job": "jobs", "cs": "coresets", "ad": "adapters"}
"""The areas of the client by the first part of an id."""

_STEERING = {
    "cancel": "Cancel a job: at once if none of its stages is running, otherwise within seconds.",
    "pause": (
        "Pause a job. A running stage keeps its last checkpoint, and `dealrec resume` continues from "
        "there."
    ),
    "resume": "Resume a paused job.",
    "retry": "Retry a failed job. Its finished stages are kept.",
}
"""The commands that steer a job, each with its help."""


def register(application: typer.Typer) -> None:
    """Add the subcommands of this module."""
    steering = {action: _steering(action, words) for action, words in _STEERING.items()}
    add_commands(application, steering, panel=Panel.JOBS)
    add_commands(application, {"rename": rename_command}, panel=Panel.RESULTS)
    lists: dict[str, tuple[str, Callable[..., None]]] = {
        "datasets": (
            "List the data sets on a server, or show the shape of one.",
            list_datasets_command,
        ),
        "jobs": ("List the jobs on a server.", list_jobs_command),
        "coresets": ("List the coresets on a server.", list_coresets_command),
        "adapters": ("List the adapters on a server.", list_adapters_command),
        "comparisons": ("List the comparisons on a server.", list_comparisons_command),
    }
    for name, (words, command) in lists.items():
        group = typer.Typer(help=words, no_args_is_help=True)
        add_commands(group, {"list": command})
        if name == "datasets":
            add_commands(group, {"shape": shape_command})
        application.add_typer(group, name=name, rich_help_panel=Panel.RESULTS)


def _steering(action: str, words: str) -> Callable[..., None]:
    """Make the command that asks for an ``action`` on a job; ``words`` are its help."""

    @examples(f"dealrec {action} job_01hxyz")
    def command(
        job_id: JobArgument,
        server: ServerOption = DEFAULT_SERVER,
        key: KeyOption = None,
        json: JsonOption = False,
    ) -> None:
        with asking(server, key) as client:
            job = getattr(client.jobs.get(job_id), action)()
        if json:
            print_json(plain_record(job))
        else:
            say(f"{job.id} {job.state}")

    command.__doc__ = words
    return command


@examples(
    'dealrec rename job_01hxyz "games, 2 %"',
    "dealrec rename ds_01hxyz games-2026",
)
def rename_command(
    identifier: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Id of a data set, job, coreset or adapter (ds_…, job_…, cs_…, ad_…).",
        ),
    ],
    name: Annotated[str, typer.Argument(help="The new name.")],
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Give a data set, a job, a coreset or an adapter another name."""
    prefix = identifier.partition("_")[0]
    if prefix not in _AREAS:
        raise InputError(
            f"{identifier!r} is not the id of a data set, job, coreset or adapter. Such ids begin with "
            + ", ".join(f"{known}_" for known in _AREAS)
            + ".",
            code="invalid_id",
        )
    with asking(server, key) as client:
        renamed = getattr(client, _AREAS[prefix]).get(identifier).rename(name)
    if json:
        print_json(plain_record(renamed))
    else:
        say(f"{renamed.id} {renamed.name}")


@examples("dealrec datasets list", "dealrec datasets list --limit 5 --json")
def list_datasets_command(
    limit: LimitOption = 20,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List data sets, newest first."""

    def told(dataset: "Dataset[Any]") -> list[str]:
        counts = dataset.counts
        size = ""
        if counts is not None:
            alone = dataset.kind == "texts"
            rows = counts["samples_given" if alone else "interactions"]
            size = counted(rows, "text" if alone else "interaction")
        return [dataset.id, dataset.state, _when(dataset.created_at), size, dataset.name or ""]

    with asking(server, key) as client:
        print_records(client.datasets.list(), told, limit, json=json)


@examples("dealrec datasets shape ds_01hxyz", "dealrec datasets shape ds_01hxyz --json")
def shape_command(
    dataset_id: Annotated[str, typer.Argument(metavar="DATASET", help="Id of a data set (ds_…).")],
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Show what there is to learn: lengths of histories, popularity of items, and interactions over time.

    `--json` prints all figures and all ranges.
    """
    with asking(server, key) as client:
        found = client.datasets.get(dataset_id).shape()
    if json:
        print_json(found.model_dump(mode="json"))
        return
    for line in found.lines():
        say(line)


@examples(
    "dealrec jobs list", "dealrec jobs list --state failed", "dealrec jobs list --dataset ds_01hxyz"
)
def list_jobs_command(
    state: StateOption = None,
    dataset: DatasetOption = None,
    limit: LimitOption = 20,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List jobs of every kind, newest first."""
    with asking(server, key) as client:
        found = client.jobs.list(state=state, dataset_id=dataset)
        print_records(found, _job_told, limit, json=json)


@examples("dealrec coresets list", "dealrec coresets list --job job_01hxyz")
def list_coresets_command(
    job: Annotated[
        str | None, typer.Option(metavar="JOB", help="Only those of this job (job_…).")
    ] = None,
    limit: LimitOption = 20,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List coresets, newest first."""

    def told(coreset: "Coreset[Any]") -> list[str]:
        size, method = counted(coreset.size, "sample"), str(coreset.selection.get("method", ""))
        made = [_when(coreset.created_at), size, method, f"of {coreset.job_id}"]
        return [coreset.id, *made, coreset.name]

    with asking(server, key) as client:
        found = client.coresets.list() if job is None else client.jobs.get(job).coresets()
        print_records(found, told, limit, json=json)


@examples("dealrec adapters list")
def list_adapters_command(
    limit: LimitOption = 20,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List LoRA adapters, newest first."""

    def told(adapter: "Adapter[Any]") -> list[str]:
        made = [_when(adapter.created_at), adapter.model, f"on {adapter.coreset_id}"]
        return [adapter.id, *made, adapter.name]

    with asking(server, key) as client:
        print_records(client.adapters.list(), told, limit, json=json)


@examples("dealrec comparisons list", "dealrec comparisons list --state succeeded")
def list_comparisons_command(
    state: StateOption = None,
    dataset: DatasetOption = None,
    limit: LimitOption = 20,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List comparisons of selectors, newest first. `dealrec report` downloads the report of one."""
    with asking(server, key) as client:
        found = client.jobs.list(state=state, dataset_id=dataset, kind="comparison")
        print_records(found, _job_told, limit, json=json)


def _job_told(job: "Job[Any]") -> list[str]:
    made = job.coreset_id or job.adapter_id or ""
    when, size = _when(job.created_at), _size(job.budget)
    return [job.id, job.state, job.kind, when, size, made, job.name]


def _size(budget: "Budget | None") -> str:
    if budget is None:
        return ""
    known = budget.samples or budget.requested
    return f"{known:,} samples" if known >= 1 else f"{known:.3g} of all"


def print_records(
    records: "Iterable[Record]",
    told: Callable[[Any], list[str]],
    limit: int,
    *,
    json: bool,
) -> None:
    """Print the first ``limit`` records as a table, or as JSON, and say whether there are more."""
    found = list(islice(records, limit + 1))
    shown, more = found[:limit], len(found) > limit
    if json:
        print_json({"data": [plain_record(record) for record in shown], "has_more": more})
        return
    rows = [told(record) for record in shown]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    if not rows:
        tell("There are none.")
    if more:
        tell(f"There are more than {limit}. Use `--limit` to print more.")


def say_deleted(identifier: str, *, json: bool) -> None:
    """Say that something was deleted, or print that as JSON."""
    if json:
        print_json({"id": identifier, "deleted": True})
    else:
        say(f"{identifier} was deleted.")


def _when(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M}"
