"""Queries over data sets."""

from sqlalchemy import Select, delete, select

from dealrec.app.kit.repository import TenantRepository
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import JobRow, StageRow, StageState, StoredProgress


class DatasetRepository(TenantRepository[DatasetRow]):
    """A tenant's data sets."""

    model = DatasetRow
    noun = "data set"

    def jobs(self, dataset: DatasetRow) -> list[JobRow]:
        """Return all jobs on the data set, newest first."""
        query = select(JobRow).where(
            JobRow.tenant_id == self.tenant_id, JobRow.dataset_id == dataset.id
        )
        return list(self.session.scalars(query.order_by(JobRow.id.desc())))

    def same_content(self, dataset: DatasetRow) -> list[str]:
        """Return the ids of the other data sets with the content of this one, newest first."""
        if dataset.sha256 is None:
            return []
        query = select(DatasetRow.id).where(
            DatasetRow.tenant_id == self.tenant_id,
            DatasetRow.sha256 == dataset.sha256,
            DatasetRow.id != dataset.id,
        )
        return list(self.session.scalars(query.order_by(DatasetRow.id.desc())))

    def ingest_runs(self, dataset: DatasetRow) -> bool:
        """Whether a worker is validating the data set now."""
        query = self._own_stages(dataset).where(StageRow.state == StageState.RUNNING)
        return self.session.scalars(query.with_for_update()).first() is not None

    def ingest_progress(self, dataset: DatasetRow) -> StoredProgress | None:
        """Return the progress of the validation, if a worker has reported any."""
        stage = self.session.scalars(self._own_stages(dataset)).first()
        return None if stage is None else stage.progress

    def artifact_ids(self, dataset: DatasetRow) -> list[str]:
        """Return the ids of the artifacts of the data set's own stages."""
        stages = self.session.scalars(self._own_stages(dataset))
        return [stage.artifact_id for stage in stages if stage.artifact_id]

    def delete(self, dataset: DatasetRow) -> None:
        """Remove the data set and its own stages; its jobs must have been removed."""
        self.session.flush()
        self.session.execute(
            delete(StageRow).where(
                StageRow.tenant_id == self.tenant_id, StageRow.dataset_id == dataset.id
            )
        )
        self.session.delete(dataset)
        self.session.flush()

    def _own_stages(self, dataset: DatasetRow) -> Select[StageRow]:
        return select(StageRow).where(
            StageRow.tenant_id == self.tenant_id,
            StageRow.dataset_id == dataset.id,
            StageRow.job_id.is_(None),
        )
