"""The page at ``/docs``: Swagger UI with this server's document and this server's own files."""

from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

_FILES = "/console/static/swagger"


def install_docs_page(app: FastAPI) -> None:
    """Add the page, which loads nothing from other servers and works offline."""
    spec = find_spec("fastapi_offline")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "static"
    app.mount(_FILES, StaticFiles(directory=folder), name="swagger")

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        """Show every operation with a form to try it."""
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=f"{app.title} API",
            swagger_js_url=f"{_FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{_FILES}/swagger-ui.css",
            swagger_favicon_url="/console/static/icon.svg",
        )
