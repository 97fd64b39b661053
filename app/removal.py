"""The deletion of jobs, coresets and adapters; files are deleted after the commit."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Select, delete, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from dealrec.app.kit.context import Context
from dealrec.app.kit.errors import InUse
from dealrec.app.stages.transitions import lock_job
from dealrec.app.tables.adapters import AdapterRow
from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import ENDED_JOBS, ArtifactRow, JobRow, StageRow


@contextmanager
def removing(context: Context) -> Iterator["Removal"]:
    """Commit and record what the block removes, and delete the files after that."""
    with context.write() as session:
        removal = Removal(session, context.tenant_id)
        yield removal
        removal.sweep_artifacts()
        for kind, identifier in removal.removed:
            context.audit(session, f"{kind}.delete", identifier)
    for prefix in dict.fromkeys(removal.prefixes):
        context.storage.delete_prefix(prefix)


class Removal:
    """A deletion of rows of one tenant in one transaction, and of their files."""

    def __init__(self, session: Session, tenant_id: str) -> None:
        self.session = session
        self.tenant_id = tenant_id
        self.prefixes: list[str] = []
        self.removed: list[tuple[str, str]] = []
        """The kind and id of every deleted object, for the audit trail."""
        self.artifact_ids: set[str] = set()
        self._gone: set[str] = set()

    def job(self, job: JobRow, *, cascade: bool) -> None:
        """Remove an ended job with its scores, its own coreset and its own adapter.

        Other coresets made from its scores, and jobs that fine-tune on its coresets, depend on it.
        With ``cascade`` they are removed too; otherwise :class:`InUse` is raised.
        """
        if job.id in self._gone:
            return
        job = lock_job(self.session, job.id)
        if job.state not in ENDED_JOBS:
            raise InUse(
                f"The job {job.id} has not ended (its state is `{job.state}`). Cancel it first.",
                [_entry("job", job.id)],
            )
        coresets = list(self.session.scalars(self._coresets(job)))
        dependents = [_entry("coreset", row.id) for row in coresets if row.id != job.coreset_id]
        if dependents and not cascade:
            raise InUse(
                "Coresets were made from the job's scores. Delete them first, or use cascade=true.",
                dependents,
            )
        for coreset in coresets:
            self.coreset(coreset, cascade=cascade)
        for adapter in self.session.scalars(
            select(AdapterRow).where(
                AdapterRow.tenant_id == self.tenant_id, AdapterRow.job_id == job.id
            )
        ):
            self.adapter(adapter)
        self._stages(job)
        self._gone.add(job.id)
        self.removed.append(("job", job.id))
        self.session.delete(job)
        self.session.flush()

    def coreset(self, coreset: CoresetRow, *, cascade: bool) -> None:
        """Remove a coreset; jobs that fine-tune on it and their adapters are its dependents."""
        trained = list(
            self.session.scalars(
                select(JobRow).where(
                    JobRow.tenant_id == self.tenant_id, JobRow.source_coreset_id == coreset.id
                )
            )
        )
        adapters = list(
            self.session.scalars(
                select(AdapterRow).where(
                    AdapterRow.tenant_id == self.tenant_id,
                    AdapterRow.coreset_id == coreset.id,
                    AdapterRow.job_id.not_in([coreset.job_id, *(job.id for job in trained)]),
                )
            )
        )
        if (trained or adapters) and not cascade:
            entries = [_entry("job", job.id) for job in trained]
            raise InUse(
                "Adapters were trained on the coreset. Delete them first, or use cascade=true.",
                [*entries, *(_entry("adapter", adapter.id) for adapter in adapters)],
            )
        for job in trained:
            self.job(job, cascade=True)
        own = select(AdapterRow).where(
            AdapterRow.tenant_id == self.tenant_id, AdapterRow.coreset_id == coreset.id
        )
        for adapter in self.session.scalars(own).all():
            self.adapter(adapter)
        self._forget(JobRow.coreset_id, coreset.id)
        self.prefixes.append(coreset.prefix)
        self.removed.append(("coreset", coreset.id))
        self.session.delete(coreset)
        self.session.flush()

    def adapter(self, adapter: AdapterRow) -> None:
        """Remove an adapter; nothing depends on one."""
        self._forget(JobRow.adapter_id, adapter.id)
        self.prefixes.append(adapter.prefix)
        self.removed.append(("adapter", adapter.id))
        self.session.delete(adapter)
        self.session.flush()

    def sweep_artifacts(self) -> None:
        """Remove the collected artifacts that no stage refers to any more, as the last step.

        Files under a prefix that a row still names are kept.
        """
        rows = self.session.scalars(
            select(ArtifactRow)
            .where(ArtifactRow.tenant_id == self.tenant_id, ArtifactRow.id.in_(self.artifact_ids))
            .order_by(ArtifactRow.id)
            .with_for_update()
        ).all()
        for row in rows:
            used = select(StageRow.id).where(StageRow.artifact_id == row.id).limit(1)
            if self.session.scalar(used) is None:
                self.session.delete(row)
                self.session.flush()
                self.prefixes.append(row.prefix)

        self.prefixes = [prefix for prefix in self.prefixes if not self._named(prefix)]

    def _named(self, prefix: str) -> bool:
        tables = (ArtifactRow, CoresetRow, AdapterRow, DatasetRow)
        return any(
            self.session.scalar(select(table.id).where(table.prefix == prefix).limit(1))
            for table in tables
        )

    def _coresets(self, job: JobRow) -> Select[CoresetRow]:
        return select(CoresetRow).where(
            CoresetRow.tenant_id == self.tenant_id, CoresetRow.job_id == job.id
        )

    def _stages(self, job: JobRow) -> None:
        mine = (StageRow.tenant_id == self.tenant_id, StageRow.job_id == job.id)
        found = self.session.scalars(select(StageRow.artifact_id).where(*mine))
        self.artifact_ids.update(identifier for identifier in found if identifier)
        self.session.execute(delete(StageRow).where(*mine))

    def _forget(self, column: InstrumentedAttribute[str | None], identifier: str) -> None:
        self.session.execute(
            update(JobRow)
            .where(JobRow.tenant_id == self.tenant_id, column == identifier)
            .values({column: None})
        )


def _entry(kind: str, identifier: str) -> dict[str, str]:
    return {"object": kind, "id": identifier}
