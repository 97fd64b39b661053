"""The context of a request: its caller, and short database sessions."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from dealrec.app.kit import trail
from dealrec.app.kit.caller import Caller
from dealrec.app.kit.database import Database
from dealrec.app.kit.idempotency.store import Reservation
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.audit import Actor


class Answer(Protocol):
    """An answer with the id and the kind of the object that it is about."""

    @property
    def id(self) -> str: ...

    @property
    def object(self) -> str: ...

    def model_dump(self, *, mode: str) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Context:
    """The caller of one request, and the resources of the process.

    The endpoint opens sessions within the one thread that it runs in. It is the boundary that
    commits, before the answer is sent.
    """

    caller: Caller
    request_id: str
    settings: Settings
    database: Database
    storage: Storage
    reservation: Reservation | None = None
    """The reservation of the request's ``Idempotency-Key``, if it has one."""

    @property
    def tenant_id(self) -> str:
        """The tenant whose objects the caller may see."""
        return self.caller.tenant_id

    def audit(self, session: Session, action: str, object_id: str) -> None:
        """Record the caller's action in the transaction that performs it."""
        trail.record(
            session,
            self.tenant_id,
            action,
            object_id,
            actor=Actor.LOCAL if self.caller.key_id is None else Actor.KEY,
            key_id=self.caller.key_id,
            request_id=self.request_id,
        )

    def keep(
        self,
        session: Session,
        answer: Answer,
        status: int,
        location: str,
        *,
        action: str = "create",
    ) -> None:
        """Record ``action``, and keep its answer under the request's idempotency key.

        The code that creates or changes the object of ``answer`` calls this in its transaction.
        Raises :class:`Conflict` (``idempotency_key_in_use``) if another request came first.
        """
        self.audit(session, f"{answer.object}.{action}", answer.id)
        if self.reservation is not None:
            body = answer.model_dump(mode="json")
            self.reservation.keep(session, status=status, answer=body, location=location)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session that only reads."""
        with self.database.session(write=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session that commits at the end of the block."""
        with self.database.session() as session:
            yield session


async def _context(request: Request) -> Context:
    # FastAPI would run a plain function in a thread of its own, so this one is async.
    state = request.app.state
    return Context(
        request.state.caller,
        request.state.request_id,
        state.settings,
        state.database,
        state.storage,
        getattr(request.state, "idempotency", None),
    )


ContextDep = Annotated[Context, Depends(_context)]
