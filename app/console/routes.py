"""All routes of the console, and its files."""

from fastapi import APIRouter, FastAPI
from starlette.staticfiles import StaticFiles

from app.console import adapters, coresets, datasets, jobs, session
from app.console.door import Door
from app.console.pages import FOLDER


def install_console(app: FastAPI) -> None:
    """Add the pages to ``app``; the door stands around every middleware added before."""
    router = APIRouter(include_in_schema=False)
    for area in (datasets, jobs, coresets, adapters, session):
        router.include_router(area.router)
    app.include_router(router)
    app.mount("/console/static", StaticFiles(directory=FOLDER / "static"), name="console")
    app.add_middleware(Door)
