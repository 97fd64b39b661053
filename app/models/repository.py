"""Queries over the jobs that use language models."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dealrec.app.tables.jobs import ENDED_JOBS, JobRow


def open_jobs(session: Session, tenant_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the identifier and the configuration of each of the tenant's jobs that have not ended."""
    found = select(JobRow.id, JobRow.config).where(
        JobRow.tenant_id == tenant_id, JobRow.state.not_in(ENDED_JOBS)
    )
    return [(identifier, config) for identifier, config in session.execute(found)]
