"""Queries of estimates."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dealrec.app.tables.jobs import ArtifactRow, JobRow, StageRow
from dealrec.config import ComparisonConfig
from dealrec.config.stages import StageName

_LATEST_COMPARISONS = 20


def latest_power(session: Session, tenant_id: str, model: str) -> dict[str, Any] | None:
    """Return what the tenant's latest comparison with a language model could show, as it was kept."""
    rows = session.execute(
        select(ArtifactRow.details, JobRow.config)
        .join(StageRow, StageRow.artifact_id == ArtifactRow.id)
        .join(JobRow, StageRow.job_id == JobRow.id)
        .where(ArtifactRow.tenant_id == tenant_id, ArtifactRow.stage == StageName.COMPARE)
        .order_by(ArtifactRow.created_at.desc())
        .limit(_LATEST_COMPARISONS)
    )
    for details, config in rows:
        found = details.get("power")
        if isinstance(found, dict) and ComparisonConfig.parse(config).model == model:
            return found
    return None
