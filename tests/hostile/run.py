"""Sends the attacks to a real server with its worker, and reports the outcomes."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.chaos.machines import Embedded
from tests.chaos.run import free_ports
from tests.hostile.files import GOOD, MEBI, HostileFile
from tests.hostile.forms import BOUNDARY, HostileRequest, upload

INGEST_BYTES = 2048 * MEBI
"""Address space of the process that reads files, a quarter of the default: a bomb goes off sooner."""
INGEST_SECONDS = 120.0
_PATIENCE = 900.0
_HEADERS = {"content-type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}


@dataclass
class Outcomes:
    """The answer to each attack, and the remains of all."""

    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    """The status and code that each request got."""
    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The data set of each file as it stands in the end."""
    left: list[str] = field(default_factory=list)
    """Files in storage and scratch once accepted data sets are deleted."""
    growth: int = 0
    """Bytes of resident memory of the API, after all against before."""
    answers_still: bool = False


def attack(
    folder: Path, files: Mapping[str, HostileFile], requests: Mapping[str, HostileRequest]
) -> Outcomes:
    """Send everything, one after another; the server has to bear it."""
    outcomes = Outcomes()
    data = folder / "data"
    bounds = {"ingest_memory_bytes": INGEST_BYTES, "ingest_seconds": INGEST_SECONDS}
    machines = Embedded(data, folder, free_ports(1)[0], **bounds)
    machines.keep_up()
    try:
        with httpx.Client(base_url=machines.url, timeout=_PATIENCE) as client:
            _ready(client)
            api = psutil.Process(machines.api.pid)
            before = api.memory_info().rss
            for name, request in requests.items():
                outcomes.answers[name] = _asked(client, request)
            ids = {name: _uploaded(client, file) for name, file in files.items()}
            for name, identifier in ids.items():
                outcomes.datasets[name] = _validated(client, identifier)
                client.delete(f"/v1/datasets/{identifier}").raise_for_status()
            outcomes.growth = api.memory_info().rss - before
            outcomes.left = _left(data)
            outcomes.answers_still = client.get("/readyz").status_code == 200
    finally:
        machines.stop()
    return outcomes


def _ready(client: httpx.Client) -> None:
    """Wait for the server and its worker, and have them do once what they will do."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            if client.get("/readyz").status_code == 200:
                break
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, "the server does not come up"
        time.sleep(0.1)
    first = _uploaded(client, HostileFile(GOOD, "ready"))
    assert _validated(client, first)["state"] == "ready"
    client.delete(f"/v1/datasets/{first}").raise_for_status()


def _asked(client: httpx.Client, request: HostileRequest) -> tuple[int, str]:
    body = request.body if isinstance(request.body, bytes) else request.body()
    try:
        answer = client.request(
            request.method, request.path, content=body, headers=list(request.headers.items())
        )
    except httpx.TransportError as error:
        # Refused while we were still sending: the answer may be lost with the connection.
        return 0, type(error).__name__
    try:
        return answer.status_code, answer.json()["code"]
    except ValueError:
        return answer.status_code, ""


def _uploaded(client: httpx.Client, file: HostileFile) -> str:
    content: Iterable[bytes] = [file.content] if isinstance(file.content, bytes) else file.content()
    body: Iterator[bytes] = upload(content, file.filename, file.items)
    answer = client.post("/v1/datasets", content=body, headers=_HEADERS)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _validated(client: httpx.Client, identifier: str) -> dict[str, Any]:
    deadline = time.monotonic() + _PATIENCE
    while True:
        found: dict[str, Any] = client.get(f"/v1/datasets/{identifier}").raise_for_status().json()
        # A rejected one is whole once its files are gone, too.
        if found["state"] != "validating":
            return found
        assert time.monotonic() < deadline, "the file is read without end"
        time.sleep(0.05)


def _left(data: Path) -> list[str]:
    """Files that nobody owns, after the moment that a worker needs to remove them."""
    deadline = time.monotonic() + 30
    while True:
        found = [
            str(path.relative_to(data))
            for folder in ("scratch", "storage", "work")
            for path in (data / folder).rglob("*")
            if path.is_file()
        ]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)
