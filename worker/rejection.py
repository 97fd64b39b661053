"""Rejects a data set that cannot be used, and removes its files."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dealrec.app.jobs.lifecycle import dataset_rejected
from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.stages.transitions import lock_dataset
from dealrec.app.tables.datasets import DatasetRow, DatasetState


def reject_dataset(session: Session, dataset_id: str, problem: Mapping[str, Any]) -> None:
    """Keep the row with its problem and fail the jobs that waited.

    Its files are removed after the commit, by :func:`remove_rejected_files`; until then ``prefix``
    says where they are.
    """
    dataset = lock_dataset(session, dataset_id)
    dataset.state = DatasetState.REJECTED.value
    dataset.error = dict(problem)
    dataset.prefix = f"datasets/{dataset.tenant_id}/{dataset.id}"
    session.flush()
    dataset_rejected(session, dataset, problem)


def remove_rejected_files(database: Database, storage: Storage) -> None:
    """Remove the files of every rejected data set that still has some."""
    with database.session(write=False) as session:
        rejected = select(DatasetRow.id, DatasetRow.prefix).where(
            DatasetRow.state == DatasetState.REJECTED, DatasetRow.prefix.is_not(None)
        )
        found = [(row.id, row.prefix) for row in session.execute(rejected)]
    for dataset_id, prefix in found:
        storage.delete_prefix(prefix)
        with database.session() as session:
            dataset = session.get(DatasetRow, dataset_id)
            if dataset is not None:
                dataset.prefix, dataset.stored_bytes = None, 0
