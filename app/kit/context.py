"""What an endpoint works with: the caller, and short sessions."""

from collections.abc import Iterable, Iterator, Mapping
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
    """An answer that says what it is about."""

    @property
    def id(self) -> str: ...

    @property
    def object(self) -> str: ...

    def model_dump(self, *, mode: str) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Context:
    """One request's caller, and the things of the process that it may use.

    Sessions are opened by the endpoint, within the one thread that it runs in: the endpoint is the
    boundary that commits, before the answer is sent.
    """

    caller: Caller
    request_id: str
    settings: Settings
    database: Database
    storage: Storage
    reservation: Reservation | None = None
    """Of the request's ``Idempotency-Key``, where it has one."""

    @property
    def tenant_id(self) -> str:
        """Whose things the caller may see."""
        return self.caller.tenant_id

    def audit(self, session: Session, action: str, object_id: str) -> None:
        """Note what the caller does, in the transaction that does it; for all that changes a thing."""
        trail.record(
            session,
            self.tenant_id,
            action,
            object_id,
            actor=Actor.LOCAL if self.caller.key_id is None else Actor.KEY,
            key_id=self.caller.key_id,
            request_id=self.request_id,
        )

    def audit_removal(self, session: Session, removed: Iterable[tuple[str, str]]) -> None:
        """As :meth:`audit`, for all that a deletion takes along: kinds and ids."""
        for kind, identifier in removed:
            self.audit(session, f"{kind}.delete", identifier)

    def keep(
        self,
        session: Session,
        answer: Answer,
        status: int,
        location: str,
        *,
        action: str = "create",
    ) -> None:
        """Note who did ``action``, and remember its answer under the request's idempotency key.

        To be called by what creates or changes ``answer``, in its transaction. Raises
        :class:`Conflict` (``idempotency_key_in_use``) where another request came first.
        """
        self.audit(session, f"{answer.object}.{action}", answer.id)
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
        request.state.caller,
        request.state.request_id,
        state.settings,
        state.database,
        state.storage,
        getattr(request.state, "idempotency", None),
    )


ContextDep = Annotated[Context, Depends(_context)]
