"""The assembly of the HTTP service."""

import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI

from dealrec.app import catalogue, health
from dealrec.app.adapters import endpoints as adapters
from dealrec.app.audit import endpoints as audit
from dealrec.app.console.routes import install_console
from dealrec.app.coresets import endpoints as coresets
from dealrec.app.coresets import exploring
from dealrec.app.datasets import endpoints as datasets
from dealrec.app.estimates import endpoints as estimates
from dealrec.app.gate.headers import SecureHeaders
from dealrec.app.gate.middleware import Gate
from dealrec.app.jobs import comparisons, prune
from dealrec.app.jobs import endpoints as jobs
from dealrec.app.keys import endpoints as keys
from dealrec.app.keys.service import ensure_bootstrap
from dealrec.app.kit.database import Database
from dealrec.app.kit.idempotency.middleware import Idempotency
from dealrec.app.kit.logging import configure_logging
from dealrec.app.kit.problems import install_problem_handlers
from dealrec.app.kit.storage import Storage
from dealrec.app.kit.traces import start_traces
from dealrec.app.metrics import endpoints as metrics
from dealrec.app.metrics.collector import WorkCollector
from dealrec.app.metrics.requests import RequestMetrics
from dealrec.app.models import endpoints as models
from dealrec.app.openapi.document import openapi_document
from dealrec.app.openapi.page import install_docs_page
from dealrec.app.operation import endpoints as operation
from dealrec.app.quotas import endpoints as quotas
from dealrec.app.schedules import endpoints as schedules
from dealrec.app.scores import endpoints as scores
from dealrec.app.settings import Settings
from dealrec.app.uploads import endpoints as uploads
from dealrec.app.webhooks import endpoints as webhooks
from dealrec.config.catalogue import use_catalogue
from dealrec.version import __version__

_STALE_SECONDS = 24 * 3600


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the application; the database must be migrated, and settings default to the environment's."""
    settings = settings or Settings()
    if settings.models is not None:
        use_catalogue(settings.models)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if not structlog.is_configured():
            configure_logging()
        start_traces("api")
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
        description="Post interactions and a budget, and get the coreset, the samples worth fine-tuning on.",
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
    areas = (
        uploads,
        datasets,
        estimates,
        jobs,
        scores,
        prune,
        comparisons,
        coresets,
        exploring,
        adapters,
        schedules,
    )
    for area in (
        *areas,
        catalogue,
        models,
        keys,
        webhooks,
        quotas,
        audit,
        operation,
        health,
        metrics,
    ):
        # The routes themselves: `include_router` builds each of them once more, at the first request.
        app.router.routes.extend(area.router.routes)
    install_docs_page(app)
    install_console(app)
    app.add_middleware(SecureHeaders)
    app.openapi = lambda: openapi_document(app)  # type: ignore[method-assign]
    return app


def _remove_stale_scratch(settings: Settings) -> None:
    """Remove the folders of requests whose process died."""
    root = settings.data_dir / "scratch"
    if not root.is_dir():
        return
    for folder in root.iterdir():
        if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
