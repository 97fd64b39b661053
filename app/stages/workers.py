"""The workers that have looked for work lately, on which readiness depends."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from dealrec.app.kit.database import database_now
from dealrec.app.tables.jobs import WorkerRow

_FORGET = timedelta(days=1)
SEEN_SECONDS = 60.0
"""A worker counts as present if it has looked for work within this time."""


def saw(session: Session, worker: str, queues: Sequence[str]) -> None:
    """Record that ``worker`` is alive and consumes ``queues``; remove workers not seen for a day."""
    now = database_now(session)
    session.merge(WorkerRow(id=worker, queues=list(queues), seen_at=now))
    session.execute(delete(WorkerRow).where(WorkerRow.seen_at < now - _FORGET))


def gone(session: Session, worker: str) -> None:
    """Record that ``worker`` has ended."""
    session.execute(delete(WorkerRow).where(WorkerRow.id == worker))


def seen_lately(session: Session, seconds: float, host: str | None = None) -> bool:
    """Whether any worker (of ``host``) looked for work within the last ``seconds``."""
    since = database_now(session) - timedelta(seconds=seconds)
    query = select(WorkerRow.id).where(WorkerRow.seen_at >= since)
    if host is not None:
        query = query.where(WorkerRow.id.startswith(f"{host}:", autoescape=True))
    return session.scalars(query).first() is not None
