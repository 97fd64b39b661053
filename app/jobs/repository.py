"""Queries over jobs, their stages, events and scores."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import aliased

from dealrec.app.kit.pagination import PageRequest, Slice
from dealrec.app.kit.repository import TenantRepository
from dealrec.app.tables.adapters import AdapterRow
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import (
    SELECTING,
    ArtifactRow,
    EventRow,
    JobKind,
    JobRow,
    JobState,
    ScoreRow,
    StageRow,
)
from dealrec.config.curve import Curve
from dealrec.config.stages import StageName

_COMPARISONS = 20
"""How many finished comparisons on a data set are looked at."""
_LIKE_RESULTS = 20
"""How many results of a stage in other jobs are looked at."""
_LISTED = 100
"""How many jobs are offered to go on from."""

# Every poll of a job runs this query, so it is built once.
_STAGES = (
    select(StageRow)
    .where(
        StageRow.tenant_id == bindparam("tenant_id"),
        StageRow.job_id.in_(bindparam("job_ids", expanding=True)),
    )
    .order_by(StageRow.position, StageRow.id)
)


class JobRepository(TenantRepository[JobRow]):
    """A tenant's jobs."""

    model = JobRow
    noun = "job"

    def stages(self, jobs: Sequence[JobRow]) -> dict[str, list[StageRow]]:
        """Return the stages of each job, in order."""
        found: dict[str, list[StageRow]] = {job.id: [] for job in jobs}
        given = {"tenant_id": self.tenant_id, "job_ids": list(found)}
        for stage in self.session.scalars(_STAGES, given):
            found[stage.job_id or ""].append(stage)
        return found

    def artifact(self, job: JobRow, name: StageName) -> ArtifactRow | None:
        """Return the artifact of a stage that the job has once, if it has finished."""
        return self.session.scalars(
            select(ArtifactRow)
            .join(StageRow, StageRow.artifact_id == ArtifactRow.id)
            .where(
                StageRow.tenant_id == self.tenant_id,
                ArtifactRow.tenant_id == self.tenant_id,
                StageRow.job_id == job.id,
                StageRow.name == name.value,
                StageRow.part.is_(None),
            )
        ).one_or_none()

    def like_results(self, job: JobRow, name: StageName) -> Sequence[Row[JobRow, ArtifactRow]]:
        """Return the results of a stage in other jobs on the data set that make a coreset, newest first."""
        query = (
            select(JobRow, ArtifactRow)
            .join(StageRow, StageRow.job_id == JobRow.id)
            .join(ArtifactRow, StageRow.artifact_id == ArtifactRow.id)
            .where(
                JobRow.tenant_id == self.tenant_id,
                ArtifactRow.tenant_id == self.tenant_id,
                JobRow.dataset_id == job.dataset_id,
                JobRow.kind.in_(SELECTING),
                JobRow.id != job.id,
                StageRow.name == name.value,
                StageRow.part.is_(None),
            )
            .order_by(JobRow.id.desc())
            .limit(_LIKE_RESULTS)
        )
        return self.session.execute(query).all()

    def with_coresets(self, dataset_ids: Sequence[str]) -> Sequence[JobRow]:
        """Return the jobs on these data sets that succeeded in choosing a coreset, newest first."""
        query = self.query().where(
            JobRow.dataset_id.in_(dataset_ids),
            JobRow.kind == JobKind.PRUNE,
            JobRow.state == JobState.SUCCEEDED,
        )
        return self.session.scalars(query.order_by(JobRow.id.desc()).limit(_LISTED)).all()

    def adapter(self, identifier: str) -> AdapterRow | None:
        """Return an adapter of the tenant, for jobs that go on from it."""
        return self.session.scalars(
            select(AdapterRow).where(
                AdapterRow.tenant_id == self.tenant_id, AdapterRow.id == identifier
            )
        ).one_or_none()

    def dataset(self, job: JobRow) -> DatasetRow:
        """Return the data set that the job runs on."""
        return self.session.scalars(
            select(DatasetRow).where(
                DatasetRow.tenant_id == self.tenant_id, DatasetRow.id == job.dataset_id
            )
        ).one()

    def events(self, job: JobRow, request: PageRequest) -> Slice[EventRow]:
        """Return a page of events, oldest first, after a sequence number."""
        query = select(EventRow).where(
            EventRow.tenant_id == self.tenant_id, EventRow.job_id == job.id
        )
        if (position := request.position()) is not None:
            query = query.where(EventRow.sequence > position)
        query = query.order_by(EventRow.sequence).limit(request.limit + 1)
        rows = self.session.scalars(query).all()
        return Slice.cut(rows, request.limit, lambda row: str(row.sequence))

    def scores(self, job: JobRow, request: PageRequest) -> Slice[ScoreRow]:
        """Return a page of scores in dense order, after a sample's index."""
        query = select(ScoreRow).where(
            ScoreRow.tenant_id == self.tenant_id, ScoreRow.job_id == job.id
        )
        if (position := request.position()) is not None:
            query = query.where(ScoreRow.sample_index > position)
        query = query.order_by(ScoreRow.sample_index).limit(request.limit + 1)
        rows = self.session.scalars(query).all()
        return Slice.cut(rows, request.limit, lambda row: str(row.sample_index))

    def comparisons(self, dataset_id: str) -> list[tuple[JobRow, ArtifactRow]]:
        """Return the newest finished comparisons on the content of a data set, and their reports."""
        same = aliased(DatasetRow)
        rows = self.session.execute(
            select(JobRow, ArtifactRow)
            .join(StageRow, StageRow.job_id == JobRow.id)
            .join(ArtifactRow, StageRow.artifact_id == ArtifactRow.id)
            .join(DatasetRow, JobRow.dataset_id == DatasetRow.id)
            .join(same, same.sha256 == DatasetRow.sha256)
            .where(JobRow.tenant_id == self.tenant_id, same.tenant_id == self.tenant_id)
            .where(same.id == dataset_id, StageRow.name == StageName.COMPARE)
            .where(JobRow.state == JobState.SUCCEEDED)
            .order_by(JobRow.id.desc())
            .limit(_COMPARISONS)
        )
        return [(job, artifact) for job, artifact in rows]

    def curves(self) -> Iterator[Curve]:
        """Yield the curves that comparisons have drawn, the newest first."""
        details = self.session.scalars(
            select(ArtifactRow.details)
            .where(ArtifactRow.tenant_id == self.tenant_id, ArtifactRow.stage == StageName.COMPARE)
            .order_by(ArtifactRow.created_at.desc())
        )
        for one in details:
            if one.get("curve"):
                yield Curve.model_validate(one["curve"])
