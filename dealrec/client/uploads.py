"""Files that are sent in parts: a broken connection costs one part, and a killed process costs nothing.

The service knows which parts have arrived, and the client asks it each time. The client remembers only
the id of the upload, under the file's name and SHA-256. So a new process that sends the same file to the
same service continues the upload, even if the file has moved. A complete upload is not sent again while
the service keeps it.
"""

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from dealrec.cache import cache_folder
from dealrec.client.binding import operation
from dealrec.client.display import transfer_display
from dealrec.client.errors import ApiError
from dealrec.client.exchange import Attempts, ask, ask_once, creating, delete
from dealrec.client.files import read_range
from dealrec.client.records import Area, M, Record, Remote
from dealrec.client.transport import Request, Transport
from dealrec.disk import file_sha256, local_file, written_whole

_REMEMBERED_SECONDS = 7 * 24 * 3600.0
"""Older notes are removed, since the service has forgotten their uploads."""

Advance = Callable[[int], None]
"""Called with the number of bytes since the last call."""


class UploadPart(Record):
    """A part that has arrived."""

    number: int
    bytes: int
    sha256: str


class Upload(Remote[M]):
    """A file sent in parts of ``part_bytes`` bytes, numbered from 1; the last part is the rest."""

    place = "/v1/uploads"
    state: str
    filename: str
    bytes: int
    sha256: str | None = None
    part_bytes: int
    received_bytes: int
    parts: list[UploadPart]
    """The parts that have arrived; empty once the upload is ``complete``."""
    created_at: datetime
    expires_at: datetime

    @operation
    async def delete(self) -> None:
        """Delete the upload; data sets made from it stay."""
        await delete(self.transport, self.path)


class Uploads(Area[M]):
    """The uploads of the key's tenant."""

    @operation
    async def send(self, path: str | Path, *, progress: bool = False) -> Upload[M]:
        """Send a file and complete the upload. An interrupted upload is resumed where it stopped.

        Raises:
            ApiError: The service refused it, or a part arrived changed (``upload_damaged``).
            InputError: ``no_such_file``.
        """
        return await send_file(self.transport, local_file(path), progress=progress)

    @operation
    async def get(self, identifier: str) -> Upload[M]:
        """Fetch an upload with the parts that have arrived."""
        return await Upload[M].fetched(self.transport, identifier)


async def send_file(
    transport: M, path: Path, *, name: str | None = None, progress: bool = False
) -> Upload[M]:
    """Send a file as :meth:`Uploads.send` does; the upload that is returned is ``complete``."""
    name = name or path.name
    size = path.stat().st_size
    with transfer_display(progress, f"reading {path.name}", size) as advance:
        sha256 = await transport.call(file_sha256, path, advance)
    note = _Note(transport.server.url, name, sha256)
    upload = await _remembered(transport, note)
    if upload is None:
        body = {"filename": name, "bytes": size, "sha256": sha256}
        answer = await ask(transport, creating("/v1/uploads", body))
        upload = Upload[M].received(transport, answer.json())
        note.write(upload.id)
    if upload.state == "complete":
        return upload
    with transfer_display(progress, f"sending {path.name}", size) as advance:
        advance(upload.received_bytes)
        await _send_parts(transport, upload, path, advance)
    return await _complete(transport, upload.id)


async def _send_parts(
    transport: Transport, upload: Upload[Any], path: Path, advance: Advance
) -> None:
    there = {part.number for part in upload.parts}
    for number in range(1, -(-upload.bytes // upload.part_bytes) + 1):
        if number in there:
            continue
        start = (number - 1) * upload.part_bytes
        data = await transport.call(read_range, path, start, upload.part_bytes)
        request = Request("PUT", f"{upload.path}/parts/{number}", content=data)
        part = UploadPart.model_validate((await ask(transport, request)).json())
        if part.sha256 != hashlib.sha256(data).hexdigest():
            raise ApiError(
                f"Part {number} of {path} was damaged on its way to the server. Send it again.",
                code="upload_damaged",
            )
        advance(len(data))


async def _complete(transport: M, identifier: str) -> Upload[M]:
    """Have the service join the parts.

    Joining gigabytes takes a while and may succeed although its answer is lost, so the state is read
    before the request is repeated.
    """
    attempts = Attempts(transport)
    while True:
        try:
            answer = await ask_once(
                transport, Request("POST", f"/v1/uploads/{identifier}/complete")
            )
            return Upload[M].received(transport, answer.json())
        except ApiError as error:
            await attempts.after(error)
            upload = await Upload[M].fetched(transport, identifier)
            if upload.state == "complete":
                return upload


async def _remembered(transport: M, note: "_Note") -> Upload[M] | None:
    """Fetch the upload that an earlier attempt began, if the service still has it."""
    identifier = note.read()
    if identifier is None:
        return None
    try:
        return await Upload[M].fetched(transport, identifier)
    except ApiError as error:
        if error.status != httpx.codes.NOT_FOUND:
            raise
    note.remove()
    return None


class _Note:
    """A small file in the cache folder that names the upload of a file to a service."""

    def __init__(self, url: str, filename: str, sha256: str) -> None:
        self._folder = cache_folder() / "uploads"
        # The file name counts too, because the format is detected by content and name.
        name = hashlib.sha256(f"{url}\n{filename}\n{sha256}".encode()).hexdigest()
        self._path = self._folder / f"{name}.json"

    def read(self) -> str | None:
        try:
            return str(json.loads(self._path.read_text(encoding="utf-8"))["upload_id"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # no usable note: the file is sent anew

    def write(self, upload_id: str) -> None:
        _forget_old(self._folder)
        with written_whole(self._path) as part:
            part.write_text(json.dumps({"upload_id": upload_id}), encoding="utf-8")

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


def _forget_old(folder: Path) -> None:
    for path in folder.glob("*.json"):
        with suppress(FileNotFoundError):  # another process removed it first
            if time.time() - path.stat().st_mtime > _REMEMBERED_SECONDS:
                path.unlink()
