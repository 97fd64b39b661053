"""Reservations of idempotency keys, and the answers that are kept under them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import CursorResult, delete, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.errors import Conflict
from dealrec.app.kit.idempotency.hashing import BodyHash
from dealrec.app.kit.ids import new_id
from dealrec.app.tables.idempotency import IdempotencyRow

_STALE_SECONDS = 60.0
"""The age at which a reservation may be taken over. Its process was killed, or it is a long upload,
which finds at its end that it came second, and has no effect."""


@dataclass(frozen=True)
class Answered:
    """The answer that was given under the key, and the hash of the body that it answered."""

    request_sha256: str
    status: int
    answer: Mapping[str, object]
    location: str | None


@dataclass
class Reservation:
    """The right to answer under a key; ``kept`` says whether an answer was kept."""

    tenant_id: str
    key: str
    token: str
    body: BodyHash
    kept: bool = False

    def keep(
        self, session: Session, *, status: int, answer: Mapping[str, object], location: str | None
    ) -> None:
        """Write the answer in the transaction of its effect.

        Raises :class:`Conflict` (``idempotency_key_in_use``) if the reservation was taken over;
        the effect is then rolled back.
        """
        values = {
            "request_sha256": self.body.hexdigest(),
            "status": status,
            "answer": answer,
            "location": location,
        }
        found = session.execute(update(IdempotencyRow).where(*_held(self)).values(**values))
        assert isinstance(found, CursorResult)
        if found.rowcount != 1:
            raise in_use()
        self.kept = True


def reserve(
    database: Database, tenant_id: str, key: str, route: str, body: BodyHash
) -> Reservation | Answered:
    """Reserve the key for one request, or return the answer that its first request was given.

    Raises :class:`Conflict`: ``idempotency_key_in_use`` while the first request still runs,
    ``idempotency_key_reused`` if the first request was for another route.
    """
    mine = Reservation(tenant_id, key, new_id("idem"), body)
    try:
        with database.session() as session:
            row = IdempotencyRow(
                tenant_id=tenant_id,
                key=key,
                route=route,
                token=mine.token,
                created_at=database_now(session),
            )
            session.add(row)
        return mine
    except IntegrityError:
        with database.session() as session:
            return _second(session, mine, route)


def _second(session: Session, mine: Reservation, route: str) -> Reservation | Answered:
    row = session.get(IdempotencyRow, (mine.tenant_id, mine.key), with_for_update=True)
    if row is None:  # the reservation has just been released
        raise in_use()
    if row.route != route:
        raise reused()
    if row.status is not None:
        assert row.request_sha256 is not None and row.answer is not None
        return Answered(row.request_sha256, row.status, row.answer, row.location)
    now = database_now(session)
    if now - row.created_at < timedelta(seconds=_STALE_SECONDS):
        raise in_use()
    row.token, row.created_at = mine.token, now
    return mine


def give_back(database: Database, reservation: Reservation) -> None:
    """Release a reservation whose request created nothing; the key may be used again."""
    with database.session() as session:
        session.execute(delete(IdempotencyRow).where(*_held(reservation)))


def forget_old(session: Session, *, hours: float) -> None:
    """Remove keys that are older than ``hours``."""
    before = database_now(session) - timedelta(hours=hours)
    session.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < before))


def in_use() -> Conflict:
    """Make the error for a key whose first request has not been answered yet."""
    return Conflict(
        "A request with this Idempotency-Key is still being answered. Try again in a moment.",
        code="idempotency_key_in_use",
    )


def reused() -> Conflict:
    """Make the error for a key that was used with another request."""
    return Conflict(
        "This Idempotency-Key was used with another request. Use a new key for a new request.",
        code="idempotency_key_reused",
    )


def _held(reservation: Reservation) -> tuple[Any, ...]:
    return (
        IdempotencyRow.tenant_id == reservation.tenant_id,
        IdempotencyRow.key == reservation.key,
        IdempotencyRow.token == reservation.token,
        IdempotencyRow.status.is_(None),
    )
