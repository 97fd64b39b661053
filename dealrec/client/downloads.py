"""Downloads that resume after a broken connection and are checked against their SHA-256.

The service's ``ETag`` is the SHA-256 of the content. An unfinished download lies beside its target
under a name that contains the ``ETag``. So the next attempt, by this or another process, knows which
content it has the beginning of, and the service sends the rest only if the content is still the same
(``If-Range``).
"""

import glob
import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import httpx

from dealrec.client.display import transfer_display
from dealrec.client.errors import ApiError
from dealrec.client.exchange import Attempts
from dealrec.client.transport import Reading, Request, Transport
from dealrec.disk import file_sha256

_ETAG = re.compile(r'"([0-9a-f]{64})"')
_PART_NAME = re.compile(r"\.([0-9a-f]{64})\.part")


async def fetch_file(
    transport: Transport, request: Request, target: str | Path, *, progress: bool = False
) -> Path:
    """Fetch the answer to ``request`` into the file ``target``, which appears whole or not at all.

    Raises:
        ApiError: The service's error, ``download_damaged`` when the content does not match its
            ``ETag``, or ``download_unchecked`` when there is no ``ETag`` to check against.
    """
    path = Path(target).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    download = _Download(path)
    attempts = Attempts(transport)
    with transfer_display(progress, f"fetching {download.target.name}", None) as advance:
        while True:
            before = download.size
            try:
                await _receive(transport, download.asked(request), download, advance)
                break
            except ApiError as error:
                if download.size > before:
                    attempts.begin_anew()
                await attempts.after(error)
    await transport.call(download.finish)
    return download.target


async def _receive(
    transport: Transport, request: Request, download: "_Download", advance: Callable[[int], None]
) -> None:
    async with AsyncExitStack() as stack:
        reading = await stack.enter_async_context(transport.open(request))
        status = reading.response.status_code
        if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and download.size:
            return  # all of it is there; the hash decides whether it is right
        if not reading.response.is_success:
            raise ApiError.of_answer(reading.response)
        file = stack.enter_context(download.open(reading))
        advance(file.tell())
        async for piece in reading.pieces:
            await transport.call(file.write, piece)
            advance(len(piece))


class _Download:
    """An unfinished download and the ``ETag`` of its content."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.etag: str | None = None
        for path in sorted(target.parent.glob(f"{glob.escape(target.name)}.*.part")):
            if found := _PART_NAME.fullmatch(path.name.removeprefix(target.name)):
                self.etag = found[1]

    @property
    def part(self) -> Path:
        return self.target.with_name(f"{self.target.name}.{self.etag}.part")

    @property
    def size(self) -> int:
        """The number of bytes that have arrived."""
        try:
            return self.part.stat().st_size
        except FileNotFoundError:
            return 0

    def asked(self, request: Request) -> Request:
        """The request for the bytes that are missing."""
        headers = {**request.headers, "accept-encoding": "identity"}
        if self.size:
            headers |= {"range": f"bytes={self.size}-", "if-range": f'"{self.etag}"'}
        return replace(request, headers=headers)

    def open(self, reading: Reading) -> BinaryIO:
        """Open the unfinished file: to append where the answer continues it, else anew."""
        response = reading.response
        found = _ETAG.fullmatch(response.headers.get("etag", ""))
        if found is None:
            raise ApiError(
                f"{response.request.url} was answered without a SHA-256 as its ETag, so the download "
                "cannot be verified. A proxy between this machine and the server may change "
                "responses.",
                code="download_unchecked",
            )
        if response.status_code == httpx.codes.PARTIAL_CONTENT and found[1] == self.etag:
            return self.part.open("ab")
        self.part.unlink(missing_ok=True)
        self.etag = found[1]
        return self.part.open("wb")

    def finish(self) -> None:
        """Check the content and rename it to the target."""
        if file_sha256(self.part) != self.etag:
            self.part.unlink()
            raise ApiError(
                f"{self.target} does not match the SHA-256 in its ETag. Download it again.",
                code="download_damaged",
            )
        self.part.replace(self.target)
