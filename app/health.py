"""Liveness, readiness and version of the service."""

from typing import Literal

import structlog
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from dealrec.app.kit.database import Database
from dealrec.app.kit.problems import documented
from dealrec.app.kit.storage import Storage
from dealrec.app.stages.workers import SEEN_SECONDS, seen_lately
from dealrec.version import __version__

router = APIRouter(tags=["operation"])
_LOG = structlog.get_logger("dealrec.health")


class Health(BaseModel):
    """The answer of a process that is alive."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """The parts of the service, and whether all of them work."""

    status: Literal["ready", "not_ready"]
    database: bool
    storage: bool
    worker: bool
    """Whether a worker has looked for work within the last minute."""


class Version(BaseModel):
    """The version of the running service."""

    version: str
    api: Literal["v1"] = "v1"


@router.get("/healthz", operation_id="get_health")
def healthz() -> Health:
    """Say that the process answers. Nothing else is checked."""
    return Health()


@router.get(
    "/readyz",
    operation_id="get_readiness",
    responses={503: {"model": Readiness, "description": "A part of the service is not working"}},
)
def readyz(request: Request, response: Response) -> Readiness:
    """Say whether jobs can be accepted and run."""
    database, worker = _database(request.app.state.database)
    storage = _storage(request.app.state.storage)
    ready = database and storage and worker
    if not ready:
        response.status_code = 503
    return Readiness(
        status="ready" if ready else "not_ready", database=database, storage=storage, worker=worker
    )


@router.get("/v1/version", operation_id="get_version", responses=documented())
def version() -> Version:
    """Return the version of this server."""
    return Version(version=__version__)


def _database(database: Database) -> tuple[bool, bool]:
    """Whether the database answers, and whether it has seen a worker lately."""
    try:
        with database.session(write=False) as session:
            return True, seen_lately(session, SEEN_SECONDS)
    except Exception as error:
        _LOG.warning("database_not_ready", error=type(error).__name__)
        return False, False


def _storage(storage: Storage) -> bool:
    try:
        storage.check()
    except Exception as error:
        _LOG.warning("storage_not_ready", error=type(error).__name__)
        return False
    return True
