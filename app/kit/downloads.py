"""File downloads with a name, an ETag over the content, and byte ranges."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anyio import CancelScope
from fastapi import Request
from fastapi.responses import FileResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from dealrec.app.kit.errors import BadRequest, RangeNotSatisfiable, ServiceError
from dealrec.app.kit.problems import error_response
from dealrec.app.settings import Settings
from dealrec.disk import file_sha256


def new_scratch(settings: Settings) -> Path:
    """Make a new folder for the files of one request."""
    root = settings.data_dir / "scratch"
    root.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=root))


@contextmanager
def scratch(settings: Settings) -> Iterator[Path]:
    """Make a folder for the files of one request, and remove it at the end of the block."""
    folder = new_scratch(settings)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def download(request: Request, path: Path, name: str, media_type: str, folder: Path) -> Response:
    """Send ``path`` under ``name``, and remove ``folder`` afterwards.

    The answer is 304 if the caller has the content already (``If-None-Match``). ``Range`` is
    honoured unless ``If-Range`` names other content; an impossible range is a problem (400, 416).
    """
    etag = f'"{file_sha256(path)}"'
    known = [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in known or "*" in known:
        shutil.rmtree(folder, ignore_errors=True)
        return Response(status_code=304, headers={"etag": etag})
    return _Download(folder, path, media_type=media_type, filename=name, headers={"etag": etag})


class _Download(FileResponse):
    """A file response that removes its folder, and refuses ranges with problem documents."""

    def __init__(self, folder: Path, path: Path, **options: Any) -> None:
        super().__init__(path, **options)
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused: Message | None = None

        async def watched_send(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] in _REFUSALS:
                refused = message
            if refused is None:
                await send(message)

        try:
            await super().__call__(scope, receive, watched_send)
        finally:
            with CancelScope(shield=True):  # the folder is removed even if the caller hangs up
                await run_in_threadpool(shutil.rmtree, self._folder, ignore_errors=True)
        if refused is not None:
            error = _REFUSALS[refused["status"]]
            size = Headers(raw=refused["headers"]).get("content-range")
            answer = error_response(error, scope["path"])
            if size is not None:
                answer.headers["content-range"] = size
            await answer(scope, receive, send)


_REFUSALS: dict[int, ServiceError] = {
    400: BadRequest(
        "The header `Range` must have the form `bytes=first-last`.",
        code="invalid_range",
        title="The range cannot be read",
    ),
    416: RangeNotSatisfiable("The file is shorter than the start of the requested range."),
}
