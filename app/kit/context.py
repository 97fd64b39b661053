"""What an endpoint works with: the caller's tenant, and short sessions."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from app.kit.database import Database
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
    return Context(request.state.tenant_id, state.settings, state.database, state.storage)


ContextDep = Annotated[Context, Depends(_context)]
