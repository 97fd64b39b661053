"""Rejects a data set that cannot be used, and removes its files."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dealrec.app.jobs.lifecycle import dataset_rejected
from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.storage import Storage
from dealrec.app.stages.transitions import lock_dataset
from dealrec.app.tables.datasets import DatasetRow, DatasetState


def reject_dataset(session: Session, dataset_id: str, problem: Mapping[str, Any]) -> None:
    """Keep the row with its problem and fail the jobs that waited.

    Its files stay for a while, so that they can be read again with other options; ``prefix`` says
    where they are until :func:`remove_rejected_files` removes them.
    """
    dataset = lock_dataset(session, dataset_id)
    dataset.state = DatasetState.REJECTED.value
    dataset.error = dict(problem)
    dataset.prefix = f"datasets/{dataset.tenant_id}/{dataset.id}"
    session.flush()
    dataset_rejected(session, dataset, problem)


def remove_rejected_files(database: Database, storage: Storage, *, hours: float) -> None:
    """Remove the files of every rejected data set that was made more than ``hours`` ago."""
    with database.session(write=False) as session:
        rejected = select(DatasetRow.id, DatasetRow.prefix).where(
            DatasetRow.state == DatasetState.REJECTED,
            DatasetRow.prefix.is_not(None),
            DatasetRow.created_at < database_now(session) - timedelta(hours=hours),
        )
        found = [(row.id, row.prefix) for row in session.execute(rejected)]
    for dataset_id, prefix in found:
        storage.delete_prefix(prefix)
        with database.session() as session:
            dataset = session.get(DatasetRow, dataset_id)
            if dataset is not None:
                dataset.prefix, dataset.stored_bytes = None, 0
