"""Jobs that go on from an earlier one: what it must be, and where its results lie."""

from sqlalchemy.orm import Session

from dealrec.app.datasets.repository import DatasetRepository
from dealrec.app.jobs.repository import JobRepository
from dealrec.app.jobs.schemas import JobCreate
from dealrec.app.kit.errors import Conflict
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import JobKind, JobRow, JobState
from dealrec.config import PruneConfig
from dealrec.config.continuation import (
    DATASET,
    Continuation,
    Continued,
    continuation_not_possible,
    require_alike,
    with_earlier_adapter,
)
from dealrec.config.stages import StageName, hashed

KEPT = (StageName.SURROGATE, StageName.EFFORT, StageName.SELECT)
"""The stages whose results a later job goes on from."""


def continued_from(
    session: Session, tenant_id: str, body: JobCreate
) -> tuple[PruneConfig, Continued]:
    """The configuration of a requested job that goes on from an earlier one, and how it does.

    Raises :class:`NotFound`; :class:`Conflict` (``continuation_not_possible``) for a job that has not
    succeeded or that makes no coreset; :class:`InputError` of the same code where it was made on another
    data set, has no adapter, or has a surrogate of another architecture.
    """
    repository = JobRepository(session, tenant_id)
    job = repository.get(str(body.continue_from))
    if job.kind != JobKind.PRUNE or job.state != JobState.SUCCEEDED:
        raise Conflict(
            f"A job can only continue from a job that made a coreset and succeeded; {job.id} is a "
            f"{job.kind} job in the state `{job.state}`.",
            code="continuation_not_possible",
        )
    require_alike(PruneConfig.parse(job.config).surrogate, body.config.surrogate)
    keys = {row.name: row.key for row in repository.stages([job])[job.id] if row.part is None}
    identity = hashed({name.value: keys[name] for name in KEPT if name in keys})
    _require_lineage(DatasetRepository(session, tenant_id), job, body.dataset_id)
    given = body.continuation or Continuation()
    config = with_earlier_adapter(body.config, job.adapter_id) if given.adapter else body.config
    return config, Continued(**given.model_dump(), earlier=identity, job=job.id)


def _require_lineage(datasets: DatasetRepository, job: JobRow, dataset_id: str) -> None:
    """Check that the job was made on a version of the data set, or on the same content."""
    asked, before = datasets.get(dataset_id), datasets.get(job.dataset_id)
    related = (asked.root_id or asked.id) == (before.root_id or before.id)
    if not related and (asked.sha256 is None or asked.sha256 != before.sha256):
        raise continuation_not_possible(
            f"{job.id} was made on the data set {before.id}, and {asked.id} is not a later version of "
            f"it. Append the new rows to it (`POST /v1/datasets/{before.id}/append`, `dealrec append "
            f"{before.id} FILE`)."
        )


def earlier_prefixes(
    session: Session, tenant_id: str, stage: StageName, continued: Continued | None
) -> dict[str, str]:
    """The storage prefixes of what ``stage`` may read of the earlier job and is still there."""
    if continued is None or continued.job is None:
        return {}
    if stage not in KEPT and not (stage is StageName.FINETUNE and continued.replays):
        return {}
    repository = JobRepository(session, tenant_id)
    job = repository.find(continued.job)
    if job is None:
        return {}
    found = {name.value: repository.artifact(job, name) for name in KEPT}
    dataset = session.get(DatasetRow, job.dataset_id)
    prefixes = {name: artifact.prefix for name, artifact in found.items() if artifact is not None}
    if dataset is not None and dataset.prefix is not None:
        prefixes[DATASET] = dataset.prefix
    return prefixes
