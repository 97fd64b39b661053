"""All routes of the console, and its files."""

from fastapi import APIRouter, FastAPI
from starlette.staticfiles import StaticFiles

from dealrec.app.console import (
    adapters,
    comparisons,
    coresets,
    datasets,
    job_form,
    jobs,
    keys,
    session,
    status,
)
from dealrec.app.console.auth import Authentication
from dealrec.app.console.pages import FOLDER


def install_console(app: FastAPI) -> None:
    """Add the pages to ``app``; authentication stands around every middleware added before."""
    router = APIRouter(include_in_schema=False)
    # The form first: `/console/jobs/new` and `/console/jobs/estimate` are no job's id.
    for area in (
        datasets,
        job_form,
        jobs,
        comparisons,
        coresets,
        adapters,
        keys,
        status,
        session,
    ):
        router.include_router(area.router)
    app.include_router(router)
    app.mount("/console/static", StaticFiles(directory=FOLDER / "static"), name="console")
    app.add_middleware(Authentication)
