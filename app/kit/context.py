"""What an endpoint works with: the caller's tenant, and short sessions."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session

from app.kit.database import Database
from app.kit.idempotency.store import Reservation
from app.kit.storage import Storage
from app.settings import Settings


@dataclass(frozen=True)
class Context:
    """One request's tenant, and the things of the process that it may use.

    Sessions are opened by the endpoint, within the one thread that it runs in: the endpoint is the
    boundary that commits, before the answer is sent.
    """

    tenant_id: str
    settings: Settings
    database: Database
    storage: Storage
    reservation: Reservation | None = None
    """Of the request's ``Idempotency-Key``, where it has one."""

    def keep(self, session: Session, answer: BaseModel, status: int, location: str) -> None:
        """Remember the answer to this request, with its effect; to be called by what creates.

        Raises :class:`Conflict` (``idempotency_key_in_use``) where another request came first.
        """
        if self.reservation is not None:
            body = answer.model_dump(mode="json")
            self.reservation.keep(session, status=status, answer=body, location=location)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that only reads."""
        with self.database.session(write=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that commits at the end of the block."""
        with self.database.session() as session:
            yield session


async def _context(request: Request) -> Context:
    # Async, though it waits for nothing: FastAPI would run it in a thread of its own otherwise.
    state = request.app.state
    return Context(
        request.state.tenant_id,
        state.settings,
        state.database,
        state.storage,
        getattr(request.state, "idempotency", None),
    )


ContextDep = Annotated[Context, Depends(_context)]
