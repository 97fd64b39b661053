"""Requests that attack the parser of forms, or the server before it: each with status and code."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from tests.hostile.files import GOOD, MEBI

BOUNDARY = b"the-boundary"
_KIND = b"multipart/form-data; boundary=" + BOUNDARY


@dataclass(frozen=True)
class HostileRequest:
    """A request as bytes, and the answer that it must get; a page has no code."""

    body: bytes | Callable[[], Iterator[bytes]]
    status: int
    code: str
    path: str = "/v1/datasets"
    method: str = "POST"
    headers: dict[bytes, bytes] = field(default_factory=lambda: {b"content-type": _KIND})


def part(disposition: bytes, content: bytes, *, headers: bytes = b"") -> bytes:
    """One part of a form."""
    return (
        b"--" + BOUNDARY + b"\r\nContent-Disposition: " + disposition + b"\r\n" + headers + b"\r\n"
        + content + b"\r\n"
    )  # fmt: skip


def file_part(name: bytes, content: bytes, filename: bytes = b"a.csv") -> bytes:
    """A file of a form."""
    return part(b'form-data; name="' + name + b'"; filename="' + filename + b'"', content)


def form(*parts: bytes) -> bytes:
    """A whole form."""
    return b"".join(parts) + END


def upload(content: Iterable[bytes], filename: bytes, items: bytes | None) -> Iterator[bytes]:
    """A form with interactions that stream, and items where there are any."""
    if items is not None:
        yield file_part(b"items", items, b"items.csv")
    yield part(b'form-data; name="interactions"; filename="' + filename + b'"', b"")[:-2]
    yield from content
    yield b"\r\n" + END


END = b"--" + BOUNDARY + b"--\r\n"
_FILE = file_part(b"interactions", GOOD)
_FIELD = b'form-data; name="name"'
_REBOUND = {b"host": b"evil.example", b"content-type": b"application/json"}
_FOREIGN = {b"origin": b"http://evil.example", b"content-type": b"application/json"}

REQUESTS: dict[str, HostileRequest] = {
    "an empty file": HostileRequest(form(file_part(b"interactions", b"")), 422, "empty_file"),
    "no boundary": HostileRequest(
        form(_FILE), 422, "invalid_form", headers={b"content-type": b"multipart/form-data"}
    ),
    "an empty boundary": HostileRequest(
        form(_FILE), 422, "invalid_form", headers={b"content-type": b"multipart/form-data; boundary="}
    ),
    "another boundary": HostileRequest(
        form(_FILE),
        422,
        "invalid_form",
        headers={b"content-type": b"multipart/form-data; boundary=other"},
    ),
    "a boundary of 10,000 bytes": HostileRequest(
        form(_FILE),
        422,
        "invalid_form",
        headers={b"content-type": b"multipart/form-data; boundary=" + b"b" * 10_000},
    ),
    "no content type": HostileRequest(form(_FILE), 422, "invalid_form", headers={}),
    "a form that says it is JSON": HostileRequest(
        form(_FILE), 422, "invalid_json", headers={b"content-type": b"application/json"}
    ),
    "nothing": HostileRequest(b"", 422, "invalid_form"),
    "only the end": HostileRequest(END, 422, "missing_field"),
    "cut short": HostileRequest(_FILE[:-40], 422, "invalid_form"),
    "line feeds alone": HostileRequest(
        form(_FILE).replace(b"\r\n", b"\n"), 422, "invalid_form"
    ),
    "100 MiB before the first boundary": HostileRequest(
        lambda: itertools.repeat(b"x" * MEBI, 100), 422, "invalid_form"
    ),
    "thousands of parts": HostileRequest(
        form(_FILE, *(part(_FIELD, b"x") for _ in range(5000))), 422, "invalid_form"
    ),
    "thousands of files": HostileRequest(
        form(*(file_part(b"interactions", GOOD) for _ in range(5000))), 422, "invalid_form"
    ),
    "a part without a name": HostileRequest(
        form(part(b"form-data", b"x"), _FILE), 422, "unknown_field"
    ),
    "a part without a header": HostileRequest(
        form(b"--" + BOUNDARY + b"\r\n\r\nx\r\n", _FILE), 422, "unknown_field"
    ),
    "a part of 64 MiB of header": HostileRequest(
        lambda: itertools.chain(
            [b"--" + BOUNDARY + b"\r\nX-Long: "], itertools.repeat(b"x" * MEBI, 64)
        ),
        422,
        "invalid_form",
    ),
    "a part of a million headers": HostileRequest(
        form(part(_FIELD, b"x", headers=b"A: b\r\n" * 1_000_000), _FILE), 422, "invalid_form"
    ),
    "a header with NUL": HostileRequest(
        form(part(_FIELD, b"x", headers=b"A\x00: b\r\n"), _FILE), 422, "invalid_form"
    ),
    "a name with NUL": HostileRequest(
        form(part(b'form-data; name="na\x00me"', b"x"), _FILE), 422, "unknown_field"
    ),
    "a file for a field": HostileRequest(
        form(part(b'form-data; name="interactions"', GOOD)), 422, "invalid_form"
    ),
    "a field of 1 MiB": HostileRequest(
        form(part(_FIELD, b"x" * MEBI), _FILE), 422, "invalid_form"
    ),
    "a field that is no UTF-8": HostileRequest(
        form(part(_FIELD, b"\xff\xfe"), _FILE), 422, "invalid_form"
    ),
    "a field with NUL": HostileRequest(form(part(_FIELD, b"a\x00b"), _FILE), 422, "invalid_text"),
    "columns of 100,000 levels": HostileRequest(
        form(part(b'form-data; name="columns"', b"[" * 100_000), _FILE), 422, "invalid_json"
    ),
    "a form within the form": HostileRequest(
        form(part(_FIELD, b"x", headers=b"Content-Type: multipart/mixed; boundary=x\r\n")),
        422,
        "missing_field",
    ),
    "a form where none is taken": HostileRequest(
        form(_FILE), 422, "invalid_request", path="/v1/jobs"
    ),
    "2 MiB of JSON": HostileRequest(
        b" " * 2 * MEBI, 413, "payload_too_large", path="/v1/jobs",
        headers={b"content-type": b"application/json"},
    ),
    "endless JSON": HostileRequest(
        lambda: itertools.repeat(b" " * MEBI, 4096), 413, "payload_too_large", path="/v1/jobs",
        headers={b"content-type": b"application/json"},
    ),
    "JSON of 100,000 levels": HostileRequest(
        b"[" * 100_000, 422, "invalid_json", path="/v1/jobs",
        headers={b"content-type": b"application/json"},
    ),
    "a file of another folder": HostileRequest(
        b"", 404, "not_found", path="/v1/adapters/ad_1/files/..%2f..%2f..%2fetc%2fpasswd",
        method="GET", headers={},
    ),
    "a page of another folder": HostileRequest(
        b"", 404, "", path="/console/static/..%2f..%2fsettings.py", method="GET", headers={}
    ),
    "an id with NUL": HostileRequest(
        b"", 404, "not_found", path="/v1/jobs/job_%00", method="GET", headers={}
    ),
    "a name that was rebound": HostileRequest(b"{}", 403, "loopback_only", headers=_REBOUND),
    "a page of another site": HostileRequest(b"{}", 403, "loopback_only", headers=_FOREIGN),
}  # fmt: skip
