"""The working folders of runs on this machine, and the removal of those that a dead worker left."""

import shutil
from pathlib import Path

from sqlalchemy import select

from dealrec.app.kit.database import Database
from dealrec.app.settings import Settings
from dealrec.app.tables.jobs import StageRow, StageState
from dealrec.worker.claims import Claim


def scratch_folder(settings: Settings, claim: Claim) -> Path:
    """The folder of one run alone: no two runs have the same stage and fence."""
    return _root(settings) / f"{claim.stage_id}-{claim.fence}"


def remove_stale_scratch(settings: Settings, database: Database) -> None:
    """Remove the folders of runs that have ended or lost their claim.

    The folders are listed first: one that is made after the claims are read is not looked at.
    """
    root = _root(settings)
    folders = list(root.iterdir()) if root.is_dir() else []
    if not folders:
        return
    with database.session(write=False) as session:
        running = session.execute(
            select(StageRow.id, StageRow.fence).where(StageRow.state == StageState.RUNNING)
        )
        current = {f"{row.id}-{row.fence}" for row in running}
    for folder in folders:
        if folder.name not in current:
            shutil.rmtree(folder, ignore_errors=True)


def _root(settings: Settings) -> Path:
    return settings.data_dir.absolute() / "work"
