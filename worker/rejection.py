"""What becomes of a data set that cannot be used."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from app.datasets.models import DatasetState
from app.jobs.planning import dataset_rejected
from app.jobs.transitions import lock_dataset


def reject_dataset(
    session: Session,
    dataset_id: str,
    problem: Mapping[str, Any],
    report: Mapping[str, Any] | None,
) -> None:
    """Keep the row with its problem and fail the jobs that waited; the sweeper takes the files."""
    dataset = lock_dataset(session, dataset_id)
    dataset.state = DatasetState.REJECTED.value
    dataset.error = dict(problem)
    dataset.report = dict(report) if report else None
    dataset.stored_bytes = 0
    session.flush()
    dataset_rejected(session, dataset, problem)
