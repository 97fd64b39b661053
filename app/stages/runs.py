"""Ended runs of stages, from which quotas and metrics are counted."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from sqlalchemy import delete
from sqlalchemy.orm import Session

from dealrec.app.kit.database import database_now
from dealrec.app.tables.jobs import RunOutcome, StageRow, StageRunRow, StageState

LEASE_LOST = "lease_lost"
"""The code of a run whose worker vanished."""
_ENDED = {StageState.SUCCEEDED: RunOutcome.SUCCEEDED, StageState.FAILED: RunOutcome.FAILED}


@dataclass(frozen=True)
class StageRun:
    """A run in its state just before it ended."""

    stage_id: str
    tenant_id: str
    fence: int
    name: str
    queue: str
    used_gpu: bool
    started_at: datetime | None
    lease_until: datetime | None

    @classmethod
    def of(cls, stage: StageRow) -> Self:
        """Describe the current run of a stage."""
        return cls(
            stage.id,
            stage.tenant_id,
            stage.fence,
            stage.name,
            stage.queue,
            stage.used_gpu,
            stage.started_at,
            stage.lease_until,
        )

    def end(self, session: Session, to: StageState, *, code: str | None, reused: bool) -> None:
        """Store the run in the transaction of the move that ended it.

        A vanished worker counts as working until its lease expired.
        """
        now = database_now(session)
        until = min(now, self.lease_until or now) if code == LEASE_LOST else now
        seconds = (until - (self.started_at or until)).total_seconds()
        session.add(
            StageRunRow(
                stage_id=self.stage_id,
                fence=self.fence,
                tenant_id=self.tenant_id,
                name=self.name,
                queue=self.queue,
                outcome=_outcome(to, code, reused=reused).value,
                code=code,
                seconds=max(0.0, seconds),
                used_gpu=self.used_gpu,
                ended_at=now,
            )
        )
        session.flush()


def forget_old(session: Session, *, days: float) -> None:
    """Remove runs that ended more than ``days`` ago."""
    before = database_now(session) - timedelta(days=days)
    session.execute(delete(StageRunRow).where(StageRunRow.ended_at < before))


def _outcome(to: StageState, code: str | None, *, reused: bool) -> RunOutcome:
    if reused:
        return RunOutcome.REUSED
    if to in _ENDED:
        return _ENDED[to]
    if code is None:
        return RunOutcome.STOPPED
    return RunOutcome.LOST if code == LEASE_LOST else RunOutcome.DIED
