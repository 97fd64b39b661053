"""``dealrec append``."""

from pathlib import Path
from typing import Annotated

import typer

from dealrec.client.asking import DEFAULT_SERVER, KeyOption, ServerOption, asking, plain_record
from dealrec.config import parse_budget
from dealrec.config.base import overlaid
from dealrec.config.continuation import Carry, Continuation
from dealrec.errors import InputError
from dealrec.extras import Extra
from dealrec.options import Asked, JsonOption, reads_data
from dealrec.terminal import Panel, add_commands, examples, print_json, say, tell


def register(application: typer.Typer) -> None:
    """Add the subcommand of this module."""
    commands = {"append": append_command}
    add_commands(application, commands, needs=Extra.CLIENT, panel=Panel.JOBS)


@examples(
    "dealrec append ds_01hxyz june.csv",
    "dealrec append ds_01hxyz june.csv --items new-items.csv --name games-june",
    "dealrec append ds_01hxyz june.csv --continue-from job_01hxyz --carry top_up --budget 3%",
)
@reads_data
def append_command(
    dataset_id: Annotated[str, typer.Argument(metavar="DATASET", help="Id of a data set (ds_…).")],
    interactions: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders or addresses of interactions. Leave them out to append only --items."
        ),
    ] = None,
    items: Annotated[
        Path | None, typer.Option(help="A file of new items, and of titles for known items.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the new version.")] = None,
    continue_from: Annotated[
        str | None,
        typer.Option(
            metavar="JOB",
            help="A finished job. A new job with its options continues from it on the new version.",
        ),
    ] = None,
    carry: Annotated[
        Carry | None,
        typer.Option(
            help="What happens to that job's coreset: anew (default; select from scratch), top_up "
            "(keep it and add samples) or replace (replace a share of it)."
        ),
    ] = None,
    carry_adapter: Annotated[
        bool, typer.Option("--carry-adapter", help="Continue training that job's adapter.")
    ] = False,
    replay: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="With --carry-adapter: the share of the kept samples that are learned again; default: 1.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="The budget of the new job; default: that of the earlier job."),
    ] = None,
    *,
    asked: Asked,
    idempotency_key: Annotated[
        str | None,
        typer.Option(help="A repeated request with the same key returns the same version."),
    ] = None,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Append rows to a data set on a server, and print the id of the new version.

    Only the new files are read. The command waits until they are validated, and says how many rows were
    accepted, rejected, late and repeated. With --continue-from it then also starts a job and prints its
    id.
    """
    given = {"coreset": carry, "adapter": carry_adapter or None, "replay": replay}
    how = {name: value for name, value in given.items() if value is not None}
    if continue_from is None and (how or budget is not None):
        raise InputError(
            "--carry, --carry-adapter, --replay and --budget need --continue-from JOB.",
            code="invalid_option",
        )
    continuation = Continuation.parse(how, location="continuation") if how else None
    job = None
    with asking(server, key) as client:
        earlier = None if continue_from is None else client.jobs.get(continue_from)
        made = client.datasets.get(dataset_id).append(
            interactions or None,
            items=items,
            name=name,
            data=asked.data if asked.data.model_fields_set else None,
            idempotency_key=idempotency_key,
            progress=not json,
        )
        if not json:
            say(made.id, flush=True)
        made = made.wait(progress=not json)
        if earlier is not None:
            spent = None if earlier.budget is None else earlier.budget.requested
            job = client.jobs.create(
                made.id,
                budget=spent if budget is None else parse_budget(budget),
                config=overlaid(earlier.config, asked.config),
                continue_from=earlier.id,
                continuation=continuation,
                idempotency_key=None if idempotency_key is None else f"{idempotency_key}-job",
            )
    if json:
        print_json({**plain_record(made), **({} if job is None else {"job": plain_record(job)})})
        return
    for line in made.validation:
        tell(line)
    if job is not None:
        say(job.id)
