"""The routes of the console and its static files."""

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from dealrec.app.console import (
    adapters,
    comparisons,
    coresets,
    datasets,
    job_form,
    jobs,
    keys,
    models,
    names,
    schedules,
    session,
    status,
    webhooks,
)
from dealrec.app.console.auth import Authentication
from dealrec.app.console.pages import FOLDER


def install_console(app: FastAPI) -> None:
    """Add the pages to ``app``; their authentication wraps all middleware that was added before."""
    # The form comes first, so that `/console/jobs/new` is not taken for a job's id, and names before
    # the jobs, whose actions have the same place.
    for area in (
        datasets,
        job_form,
        names,
        jobs,
        comparisons,
        coresets,
        adapters,
        keys,
        schedules,
        webhooks,
        models,
        status,
        session,
    ):
        app.router.routes.extend(area.router.routes)
    app.mount("/console/static", StaticFiles(directory=FOLDER / "static"), name="console")
    app.add_middleware(Authentication)
