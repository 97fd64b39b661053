"""Makes a stage's result count: its files' place, its rows, its state, in one fenced transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dealrec.app.jobs.composition import stage_config
from dealrec.app.jobs.lifecycle import advance, dataset_ready
from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.kit.storage import Storage
from dealrec.app.naming import adapter_name
from dealrec.app.quotas.service import require_room
from dealrec.app.stages.transitions import lock_dataset, move_stage
from dealrec.app.tables.adapters import AdapterRow
from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.app.tables.jobs import (
    ArtifactRow,
    JobKind,
    JobRow,
    StageRow,
    StageState,
    StoredCurves,
)
from dealrec.app.webhooks.outbox import WebhookEvent, tell
from dealrec.config.stages import Product, StagePart
from dealrec.coresets.writer import MANIFEST, MEMBERS, REPORT, SCORES
from dealrec.worker.assignment import Assignment
from dealrec.worker.claims import locked
from dealrec.worker.scores import write_scores


@dataclass(frozen=True)
class Result:
    """A finished stage's files in storage, and the details and metrics that the stage returned."""

    prefix: str
    details: dict[str, Any]
    metrics: dict[str, float]
    stored_bytes: int
    artifact_id: str | None = None
    """The id of the artifact that these files already are."""
    curves: StoredCurves | None = None


@dataclass(frozen=True)
class Copies:
    """A coreset's or an adapter's own files: they live as long as its row, not as the artifact."""

    id: str
    prefix: str
    stored_bytes: int


class _Adopt(Exception):
    """Another run published the same key in the meantime."""


def find_artifact(database: Database, assignment: Assignment) -> Result | None:
    """Find the result that an earlier run of the tenant made under the same key."""
    if assignment.key is None:
        return None
    with database.session(write=False) as session:
        artifact = _artifact(session, assignment)
    if artifact is None:
        return None
    return Result(
        artifact.prefix,
        artifact.details,
        artifact.metrics,
        artifact.stored_bytes,
        artifact.id,
        artifact.curves,
    )


def publish(
    database: Database, storage: Storage, assignment: Assignment, result: Result, scratch: Path
) -> None:
    """Publish ``result``, or the artifact that another run published first.

    Raises :class:`dealrec.app.stages.transitions.Stale` where the claim is lost, and
    :class:`dealrec.app.kit.errors.QuotaExceeded` where the tenant has no room for it; nothing has changed
    then.
    """
    while True:
        try:
            with _copies(database, storage, assignment, result) as copies:
                scores = _scores_file(storage, assignment, result, scratch)
                _commit(database, assignment, result, copies, scores)
            return
        except (_Adopt, IntegrityError):
            first = find_artifact(database, assignment)
            if first is None:
                raise
            result = first


def remove_unreferenced(database: Database, storage: Storage, prefix: str) -> None:
    """Remove files that no row points to.

    The rows are asked first, because a commit whose answer was lost may have happened.
    """
    with database.session(write=False) as session:
        tables = (ArtifactRow, DatasetRow, CoresetRow, AdapterRow)
        queries = (select(table.id).where(table.prefix == prefix) for table in tables)
        if any(session.scalars(query).first() is not None for query in queries):
            return
    storage.delete_prefix(prefix)


@contextmanager
def _copies(
    database: Database, storage: Storage, assignment: Assignment, result: Result
) -> Iterator[Copies | None]:
    kinds = {Product.CORESET: ("cs", "coresets"), Product.ADAPTER: ("ad", "adapters")}
    if assignment.product not in kinds:
        yield None
        return
    short, folder = kinds[assignment.product]
    identifier = new_id(short)
    prefix = f"{folder}/{assignment.claim.tenant_id}/{identifier}"
    names = (MEMBERS, MANIFEST, REPORT) if assignment.product is Product.CORESET else None
    try:
        yield Copies(identifier, prefix, storage.copy(result.prefix, prefix, names))
    except BaseException:
        remove_unreferenced(database, storage, prefix)
        raise


def _scores_file(
    storage: Storage, assignment: Assignment, result: Result, scratch: Path
) -> Path | None:
    if assignment.product is not Product.CORESET:
        return None
    return storage.fetch_file(f"{result.prefix}/{SCORES}", scratch / "published")


def _commit(
    database: Database,
    assignment: Assignment,
    result: Result,
    copies: Copies | None,
    scores: Path | None,
) -> None:
    claim = assignment.claim
    with database.session() as session:
        stage = locked(session, claim)
        artifact_id = result.artifact_id
        new = artifact_id is None and assignment.key is not None
        if new and _artifact(session, assignment) is not None:
            raise _Adopt
        made = 0 if artifact_id else result.stored_bytes
        require_room(session, claim.tenant_id, made + (copies.stored_bytes if copies else 0))
        if new:
            artifact_id = _add_artifact(session, assignment, result)
        match assignment.product:
            case Product.ARTIFACT:
                pass
            case Product.DATASET:
                _ready(session, assignment, result)
            case Product.CORESET:
                assert copies is not None and scores is not None
                _add_coreset(session, assignment, result, copies)
                write_scores(session, str(claim.job_id), claim.tenant_id, scores)
            case Product.ADAPTER:
                assert copies is not None
                _add_adapter(session, assignment, result, copies)
            case Product.EVALUATION:
                session.get_one(JobRow, claim.job_id).evaluation = result.details
        _succeed(session, stage, assignment, result, artifact_id)


def _succeed(
    session: Session,
    stage: StageRow,
    assignment: Assignment,
    result: Result,
    artifact_id: str | None,
) -> None:
    reused = result.artifact_id is not None
    move_stage(
        session,
        stage,
        StageState.SUCCEEDED,
        fence=assignment.claim.fence,
        event={"reused": reused, **_shards(session, stage)},
        artifact_id=artifact_id,
        reused=reused,
        metrics=result.metrics,
        curves=result.curves,
        error=None,
    )
    if artifact_id is not None and not reused:
        artifact = session.get_one(ArtifactRow, artifact_id)
        artifact.seconds = stage.spent_seconds + assignment.parts_seconds
    advance(session, stage)
    if assignment.product is Product.DATASET:
        dataset_ready(session, lock_dataset(session, assignment.claim.dataset_id))


def _shards(session: Session, stage: StageRow) -> dict[str, dict[str, int]]:
    """The count of finished shards, with the one that is about to succeed. The job is locked."""
    if stage.shards is None:
        return {}
    done = session.scalar(
        select(func.count()).where(
            StageRow.job_id == stage.job_id,
            StageRow.name == stage.name,
            StageRow.run == stage.run,
            StageRow.part == StagePart.SHARD,
            StageRow.state == StageState.SUCCEEDED,
        )
    )
    return {"shards": {"done": (done or 0) + 1, "total": stage.shards}}


def _artifact(session: Session, assignment: Assignment) -> ArtifactRow | None:
    return session.scalars(
        select(ArtifactRow).where(
            ArtifactRow.tenant_id == assignment.claim.tenant_id, ArtifactRow.key == assignment.key
        )
    ).one_or_none()


def _add_artifact(session: Session, assignment: Assignment, result: Result) -> str:
    artifact = ArtifactRow(
        id=new_id("art"),
        tenant_id=assignment.claim.tenant_id,
        stage=assignment.name.value,
        key=assignment.key,
        prefix=result.prefix,
        metrics=result.metrics,
        curves=result.curves,
        details=result.details,
        stored_bytes=result.stored_bytes,
        created_at=database_now(session),
    )
    session.add(artifact)
    session.flush()
    return artifact.id


def _ready(session: Session, assignment: Assignment, result: Result) -> None:
    dataset = lock_dataset(session, assignment.claim.dataset_id)
    dataset.state = DatasetState.READY.value
    dataset.prefix = result.prefix
    assert assignment.uploads is not None
    dataset.stored_bytes = result.stored_bytes + assignment.uploads.bytes
    for name in ("sha256", "split", "counts", "report", "train_lengths"):
        setattr(dataset, name, result.details[name])
    session.flush()
    facts = {
        "dataset_id": dataset.id,
        "name": dataset.name,
        "version": dataset.version,
        "parent_id": dataset.parent_id,
        "sha256": dataset.sha256,
        "drift": result.details["report"].get("drift"),
    }
    tell(session, dataset.tenant_id, WebhookEvent.DATASET_READY.value, facts)


def _add_coreset(session: Session, assignment: Assignment, result: Result, copies: Copies) -> None:
    job = session.get_one(JobRow, assignment.claim.job_id)
    session.add(
        CoresetRow(
            id=copies.id,
            tenant_id=job.tenant_id,
            job_id=job.id,
            dataset_id=job.dataset_id,
            name=job.name,
            size=result.details["size"],
            selection=job.config["selection"],
            sha256=result.details["sha256"],
            coverage=result.details["coverage"],
            prefix=copies.prefix,
            stored_bytes=copies.stored_bytes,
            created_at=database_now(session),
        )
    )
    job.coreset_id = copies.id
    session.flush()


def _add_adapter(session: Session, assignment: Assignment, result: Result, copies: Copies) -> None:
    job = session.get_one(JobRow, assignment.claim.job_id)
    config = stage_config(job).finetune
    assert config is not None
    coreset_id = job.source_coreset_id if job.kind == JobKind.FINETUNE else job.coreset_id
    session.add(
        AdapterRow(
            id=copies.id,
            tenant_id=job.tenant_id,
            job_id=job.id,
            dataset_id=job.dataset_id,
            coreset_id=coreset_id,
            name=job.name if job.kind == JobKind.FINETUNE else adapter_name(job.name, config.model),
            model=config.model,
            revision=result.details["revision"],
            config=config.model_dump(mode="json"),
            metrics=result.metrics,
            files=result.details["files"],
            prefix=copies.prefix,
            stored_bytes=copies.stored_bytes,
            created_at=database_now(session),
        )
    )
    job.adapter_id = copies.id
    session.flush()
