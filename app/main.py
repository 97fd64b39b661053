"""The HTTP service."""

import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI

from app import catalogue, health
from app.adapters import endpoints as adapters
from app.audit import endpoints as audit
from app.console.routes import install_console
from app.coresets import endpoints as coresets
from app.datasets import endpoints as datasets
from app.estimates import endpoints as estimates
from app.jobs import comparisons, prune
from app.jobs import endpoints as jobs
from app.keys import endpoints as keys
from app.keys.service import ensure_bootstrap
from app.kit.database import Database
from app.kit.gate import Gate
from app.kit.headers import SecureHeaders
from app.kit.idempotency.middleware import Idempotency
from app.kit.logging import configure_logging
from app.kit.problems import install_problem_handlers
from app.kit.storage import Storage
from app.metrics import endpoints as metrics
from app.metrics.collector import WorkCollector
from app.metrics.requests import RequestMetrics
from app.openapi.document import openapi_document
from app.openapi.page import install_docs_page
from app.quotas import endpoints as quotas
from app.scores import endpoints as scores
from app.settings import Settings
from app.uploads import endpoints as uploads
from dealrec import __version__

_STALE_SECONDS = 24 * 3600


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application over a migrated database; settings come from the environment if not given."""
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if not structlog.is_configured():
            configure_logging()
        ensure_bootstrap(app.state.database, settings)
        _remove_stale_scratch(settings)
        yield
        if app.state.database.dispatcher:
            app.state.database.dispatcher.close()
        app.state.database.dispose()

    app = FastAPI(
        title="DEALRec",
        version=__version__,
        summary="Data pruning for LLM recommenders",
        description="Post interactions and a budget, get the coreset worth fine-tuning on.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.database = Database(settings)
    app.state.storage = Storage(settings)
    app.add_middleware(Idempotency)
    app.state.metrics = RequestMetrics()
    app.state.metrics.registry.register(WorkCollector(app.state.database))
    app.add_middleware(Gate, settings=settings, metrics=app.state.metrics)
    install_problem_handlers(app)
    areas = (uploads, datasets, estimates, jobs, scores, prune, comparisons, coresets, adapters)
    for area in (*areas, catalogue, keys, quotas, audit, health, metrics):
        app.include_router(area.router)
    install_docs_page(app)
    install_console(app)
    app.add_middleware(SecureHeaders)
    app.openapi = lambda: openapi_document(app)  # type: ignore[method-assign]
    return app


def _remove_stale_scratch(settings: Settings) -> None:
    """Folders of requests that a process did not live to answer."""
    root = settings.data_dir / "scratch"
    if not root.is_dir():
        return
    for folder in root.iterdir():
        if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
