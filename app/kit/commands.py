"""What the service's commands share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dealrec.app.settings import Settings

if TYPE_CHECKING:
    from dealrec.app.kit.database import Database

JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON for machines.")]
DataDir = Annotated[Path | None, typer.Option(help="Folder of database and files.")]


def settings_for(data_dir: Path | None) -> Settings:
    """From the environment, save for a folder that was given."""
    return Settings() if data_dir is None else Settings(data_dir=data_dir)


@contextmanager
def opened(data_dir: Path | None) -> Iterator["Database"]:
    """The database, at the newest schema where it is SQLite."""
    from dealrec.app.kit.database import Database

    database = Database(settings_for(data_dir))
    try:
        if not database.is_postgres:
            database.migrate()
        yield database
    finally:
        database.dispose()
