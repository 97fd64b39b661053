"""Queries over data sets."""

from sqlalchemy import Select, delete, or_, select

from dealrec.app.kit.repository import TenantRepository
from dealrec.app.tables.datasets import DatasetRow, DatasetState
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

    def versions(self, dataset: DatasetRow) -> Select[DatasetRow]:
        """Select all versions of a data set, this one included."""
        root = dataset.root_id or dataset.id
        return self.query().where(or_(DatasetRow.id == root, DatasetRow.root_id == root))

    def lineage(self, dataset: DatasetRow) -> list[DatasetRow] | None:
        """Return the versions up to this one, oldest first; ``None`` where one was deleted."""
        there = {row.id: row for row in self.session.scalars(self.versions(dataset))}
        found = [dataset]
        while (parent := found[-1].parent_id) is not None:
            if parent not in there:
                return None
            found.append(there[parent])
        return found[::-1]

    def validating_appends(self, dataset: DatasetRow) -> list[DatasetRow]:
        """Return the versions whose validation needs the files of this one."""
        query = self.query().where(
            DatasetRow.parent_id == dataset.id, DatasetRow.state == DatasetState.VALIDATING
        )
        return list(self.session.scalars(query))

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
