"""``dealrec append``."""

from pathlib import Path
from typing import Annotated

import typer

from dealrec.client.asking import DEFAULT_SERVER, KeyOption, ServerOption, asking, plain_record
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
)
@reads_data
def append_command(
    dataset_id: Annotated[str, typer.Argument(metavar="DATASET", help="Id of a data set (ds_…).")],
    interactions: Annotated[
        list[str] | None, typer.Argument(help="Files, folders or addresses; or --items alone.")
    ] = None,
    items: Annotated[
        Path | None, typer.Option(help="New items, and titles for known ones.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the version.")] = None,
    *,
    asked: Asked,
    idempotency_key: Annotated[
        str | None, typer.Option(help="A repetition with the same key returns the same version.")
    ] = None,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Append rows to a data set on a server; prints the id of the new version.

    Only the new files are read. It then waits until they are validated, and says what was accepted,
    rejected, late and repeated.
    """
    with asking(server, key) as client:
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
    if json:
        print_json(plain_record(made))
        return
    for line in made.validation:
        tell(line)
