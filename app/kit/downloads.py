"""Files handed out: named, with an ETag over their content, in ranges where asked for."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import Request
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask

from app.settings import Settings


def new_scratch(settings: Settings) -> Path:
    """A new folder for files that live as long as one request."""
    root = settings.data_dir / "scratch"
    root.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=root))


@contextmanager
def scratch(settings: Settings) -> Iterator[Path]:
    """As :func:`new_scratch`, removed at the end of the block."""
    folder = new_scratch(settings)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(request: Request, path: Path, name: str, media_type: str, folder: Path) -> Response:
    """Send ``path`` under ``name`` and remove ``folder`` when it is sent.

    304 where the caller has it already (``If-None-Match``); ranges are answered.
    """
    etag = f'"{file_sha256(path)}"'
    known = [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]
    cleanup = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
    if etag in known or "*" in known:
        return Response(status_code=304, headers={"etag": etag}, background=cleanup)
    return FileResponse(
        path, media_type=media_type, filename=name, headers={"etag": etag}, background=cleanup
    )
