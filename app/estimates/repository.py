"""Queries of estimates."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import ArtifactRow, JobRow, StageRow, StageState
from dealrec.config import ComparisonConfig
from dealrec.config.stages import StageName, StagePlace

_LATEST = 400
"""How many of the newest rows of finished stages are read."""
_LATEST_COMPARISONS = 20


@dataclass(frozen=True)
class Finished:
    """A stage that was computed, and its job; its shards count together."""

    name: StageName
    job: JobRow
    dataset: DatasetRow
    seconds: float
    peak_memory_bytes: int | None


def finished_stages(session: Session, tenant_id: str) -> list[Finished]:
    """Return the tenant's latest stages that succeeded and were neither reused nor resumed.

    Those of jobs that stopped early say nothing of how long the whole takes.
    """
    other = aliased(StageRow)
    stopped = select(other.id).where(
        other.job_id == StageRow.job_id, other.state == StageState.SKIPPED
    )
    rows = session.execute(
        select(StageRow, JobRow, DatasetRow)
        .join(JobRow, StageRow.job_id == JobRow.id)
        .join(DatasetRow, StageRow.dataset_id == DatasetRow.id)
        .where(StageRow.tenant_id == tenant_id, StageRow.state == StageState.SUCCEEDED)
        .where(~stopped.exists())
        .order_by(StageRow.finished_at.desc())
        .limit(_LATEST)
    ).all()
    groups: dict[tuple[str, StagePlace], list[tuple[StageRow, JobRow, DatasetRow]]] = {}
    for stage, job, dataset in rows:
        groups.setdefault((job.id, stage.place), []).append((stage, job, dataset))
    return [_together(group) for group in groups.values() if _whole([one[0] for one in group])]


def made_keys(session: Session, tenant_id: str, keys: Collection[str]) -> set[str]:
    """Return the stage keys under which the tenant has a result."""
    query = select(ArtifactRow.key).where(
        ArtifactRow.tenant_id == tenant_id, ArtifactRow.key.in_(keys)
    )
    return set(session.scalars(query))


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


def _whole(rows: Sequence[StageRow]) -> bool:
    """Whether all of the stage's rows are here, and each ran once from its beginning to its end."""
    shards = {row.shards for row in rows if row.shards}
    complete = sum(row.shard is not None for row in rows) == max(shards, default=0)
    undisturbed = all(row.attempt == 1 and not row.reused for row in rows)
    return complete and undisturbed and any(row.part is None for row in rows)


def _together(group: Sequence[tuple[StageRow, JobRow, DatasetRow]]) -> Finished:
    rows = [stage for stage, _, _ in group]
    seconds = 0.0
    for row in rows:
        if row.started_at is not None and row.finished_at is not None:
            seconds += (row.finished_at - row.started_at).total_seconds()
    peaks = [row.metrics["peak_memory_bytes"] for row in rows if "peak_memory_bytes" in row.metrics]
    _, job, dataset = group[0]
    return Finished(
        StageName(rows[0].name), job, dataset, seconds, int(max(peaks)) if peaks else None
    )
