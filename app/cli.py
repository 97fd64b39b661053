"""Commands of the service: serve, migrate, keys."""

from pathlib import Path
from typing import Annotated

import typer

from app.settings import Settings
from dealrec.terminal import command, print_json, say

JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON for machines.")]
DataDir = Annotated[Path | None, typer.Option(help="Folder of database and files.")]


def register(application: typer.Typer) -> None:
    """Add this part's subcommands."""
    application.command("serve")(command(serve_command))
    application.command("migrate")(command(migrate_command))
    keys = typer.Typer(help="API keys.", no_args_is_help=True)
    keys.command("create")(command(create_key_command))
    keys.callback()(_keys)
    application.add_typer(keys, name="keys")


def _keys() -> None:
    """API keys."""


def serve_command(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8000,
    data_dir: DataDir = None,
) -> None:
    """Run the API and, where no broker is set, the embedded worker."""
    from app.serve import serve

    serve(_settings(data_dir), host, port)


def migrate_command(data_dir: DataDir = None, json: JsonOption = False) -> None:
    """Bring the database to the newest schema."""
    from app.kit.database import Database

    database = Database(_settings(data_dir))
    database.migrate()
    database.dispose()
    if json:
        print_json({"migrated": True})
    else:
        say("The database is up to date.")


def create_key_command(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    tenant: Annotated[str, typer.Option(help="Whom it belongs to; made if new.")] = "default",
    expires_days: Annotated[int | None, typer.Option(min=1, max=36500)] = None,
    data_dir: DataDir = None,
    json: JsonOption = False,
) -> None:
    """Make an API key. It is shown this once: only its hash is kept."""
    from app.keys.service import create_key
    from app.kit.database import Database

    database = Database(_settings(data_dir))
    if not database.is_postgres:
        database.migrate()
    with database.session() as session:
        row, text = create_key(session, name, tenant, expires_days)
    expires = row.expires_at.isoformat() if row.expires_at else None
    facts = {"id": row.id, "tenant": tenant, "name": name, "expires_at": expires, "key": text}
    database.dispose()
    if json:
        print_json(facts)
    else:
        say("Keep this key; it is not shown again:")
        typer.echo(text)


def _settings(data_dir: Path | None) -> Settings:
    return Settings() if data_dir is None else Settings(data_dir=data_dir)
