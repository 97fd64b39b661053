"""Writes the records of ended jobs: at least once, with growing pauses after failures.

Whoever writes moves ``track_at`` ahead first, so no two workers write one job at the same time, and another
worker writes what one that died has left.
"""

import json
import subprocess
from datetime import datetime

import structlog
from pydantic import ValidationError
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from dealrec.app.kit.database import Database, DatabaseClock
from dealrec.app.kit.programs import Program
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import (
    ENDED_JOBS,
    JobRow,
    JobState,
    StageRow,
    StageState,
    StoredTracking,
    TrackingState,
)
from dealrec.coresets.writer import MANIFEST
from dealrec.tracking import (
    RunRecord,
    RunState,
    TrackedStage,
    record_of,
    tracker_of,
)
from dealrec.tracking.program import WriteAnswer, WriteRequest

log = structlog.get_logger(__name__)

_WRITING = Program("dealrec.tracking.program", seconds=120.0)
_LEASE_SECONDS = 600.0
_ATTEMPTS = 10
_JOBS = 16
"""How many jobs one look takes at most."""
_STATES = {JobState.SUCCEEDED: RunState.FINISHED, JobState.FAILED: RunState.FAILED}


class TrackWriter:
    """Writes for one worker."""

    def __init__(self, settings: Settings, database: Database, storage: Storage) -> None:
        self._settings, self._database, self._storage = settings, database, storage

    def round(self) -> int:
        """Write the records that are due; return of how many jobs."""
        due = select(JobRow.id).where(JobRow.track_at <= DatabaseClock())
        with self._database.session(write=False) as session:
            found = session.scalars(due.order_by(JobRow.track_at).limit(_JOBS)).all()
        return sum(self._write(job_id) for job_id in found)

    def _write(self, job_id: str) -> bool:
        with self._database.session() as session:
            taken = session.execute(
                update(JobRow)
                .where(JobRow.id == job_id, JobRow.track_at <= DatabaseClock())
                .values(track_at=DatabaseClock(_LEASE_SECONDS))
                .returning(JobRow.id)
            )
            if taken.first() is None:
                return False  # another worker was faster
        with self._database.session(write=False) as session:
            job = session.get(JobRow, job_id)
            if job is None or job.state not in ENDED_JOBS or job.finished_at is None:
                return False  # it was deleted, or is tried again
            tracking, ended = job.tracking or [], job.finished_at
            try:
                record = self._record(session, job, ended)
            except Exception:  # such as a file that is gone: an attempt like any other
                log.exception("record not made", job=job_id)
                record = None
        written = [self._attempted(one, record) for one in tracking]
        self._keep(job_id, ended, written)
        return True

    def _attempted(self, stored: StoredTracking, record: RunRecord | None) -> StoredTracking:
        if stored["state"] != TrackingState.PENDING:
            return stored
        attempts, found = stored["attempts"] + 1, WriteAnswer(error="the record could not be made")
        if record is not None:
            found = _written(stored["tracker"], record)
        state = TrackingState.WRITTEN
        if found.error is not None:
            state = TrackingState.FAILED if attempts >= _ATTEMPTS else TrackingState.PENDING
            kind = tracker_of(stored["tracker"]).kind.value
            log.warning("tracker not written", tracker=kind, attempts=attempts)
        return {
            "tracker": stored["tracker"],
            "state": state.value,
            "attempts": attempts,
            "run": found.run,
            "error": found.error,
        }

    def _keep(self, job_id: str, ended: datetime, tracking: list[StoredTracking]) -> None:
        """Store what was reached, unless the job was started again meanwhile."""
        left = [one["attempts"] for one in tracking if one["state"] == TrackingState.PENDING]
        pause = self._settings.track_retry_seconds * 2.0 ** (min(left, default=1) - 1)
        with self._database.session() as session:
            session.execute(
                update(JobRow)
                .where(JobRow.id == job_id, JobRow.finished_at == ended)
                .values(tracking=tracking, track_at=DatabaseClock(pause) if left else None)
            )

    def _record(self, session: Session, job: JobRow, ended: datetime) -> RunRecord:
        stages = session.scalars(
            select(StageRow)
            .where(StageRow.job_id == job.id, StageRow.state == StageState.SUCCEEDED)
            .where(StageRow.part.is_(None))
            .order_by(StageRow.position, StageRow.run)
        )
        coreset = session.get(CoresetRow, job.coreset_id or job.source_coreset_id or "")
        manifest = None
        if coreset is not None:
            stored = self._storage.stream(f"{coreset.prefix}/{MANIFEST}")
            manifest = json.loads(b"".join(stored))
        return record_of(
            job.id,
            job.name,
            kind=job.kind,
            state=_STATES.get(JobState(job.state), RunState.CANCELLED),
            times=(job.started_at or job.created_at, ended),
            config=job.config,
            stages=[TrackedStage(row.name, row.curves or {}, row.metrics or {}) for row in stages],
            manifest=manifest,
            tags={
                "tenant": job.tenant_id,
                "dataset_id": job.dataset_id,
                "dataset_sha256": session.get_one(DatasetRow, job.dataset_id).sha256,
                "coreset_id": job.coreset_id or job.source_coreset_id,
                "adapter_id": job.adapter_id,
                **{f"metadata.{name}": text for name, text in job.job_metadata.items()},
            },
        )


def _written(tracker: str, record: RunRecord) -> WriteAnswer:
    try:
        said = _WRITING.answer(WriteRequest(tracker=tracker, record=record).model_dump_json())
        return WriteAnswer.model_validate_json(said.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return WriteAnswer(error=f"it took longer than {_WRITING.seconds:g} seconds")
    except (IndexError, ValidationError):
        return WriteAnswer(error="the program that writes it failed")
