"""Options and helpers that the service's commands share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dealrec.app.kit.database import Database
    from dealrec.app.settings import Settings

JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON for machines.")]
DataDir = Annotated[Path | None, typer.Option(help="Folder of the database and the files.")]


def settings_for(data_dir: Path | None) -> "Settings":
    """Settings from the environment, with the folder where one is given."""
    from dealrec.app.settings import Settings

    return Settings() if data_dir is None else Settings(data_dir=data_dir)


@contextmanager
def opened(data_dir: Path | None) -> Iterator["Database"]:
    """Open the database; SQLite is migrated to the newest schema first."""
    from dealrec.app.kit.database import Database

    database = Database(settings_for(data_dir))
    try:
        if not database.is_postgres:
            database.migrate()
        yield database
    finally:
        database.dispose()
