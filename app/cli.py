"""The commands of the service: serve, migrate, and those of its areas."""

from collections.abc import Callable
from typing import Annotated

import typer

from dealrec.app.audit import cli as audit
from dealrec.app.keys import cli as keys
from dealrec.app.kit.commands import DataDir, JsonOption, settings_for
from dealrec.app.quotas import cli as quotas
from dealrec.extras import Extra
from dealrec.terminal import Panel, add_commands, examples, print_json, say


def register(application: typer.Typer) -> None:
    """Add the service's subcommands."""
    commands: dict[str, Callable[..., None]] = {"serve": serve_command, "migrate": migrate_command}
    add_commands(application, commands, needs=Extra.SERVICE, panel=Panel.OPERATION)
    keys.register(application)
    quotas.register(application)
    audit.register(application)


@examples(
    "dealrec serve",
    "dealrec serve --port 8080 --data-dir service",
)
def serve_command(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 picks a free one.", min=0, max=65535)
    ] = 8000,
    data_dir: DataDir = None,
) -> None:
    """Run the API and console and, unless a broker is set, the embedded worker."""
    from dealrec.app.serve import serve

    serve(settings_for(data_dir), host, port)


@examples("dealrec migrate --data-dir service")
def migrate_command(data_dir: DataDir = None, json: JsonOption = False) -> None:
    """Update the database to the newest schema."""
    from dealrec.app.kit.database import Database

    database = Database(settings_for(data_dir))
    database.migrate()
    database.dispose()
    if json:
        print_json({"migrated": True})
    else:
        say("The database is up to date.")
