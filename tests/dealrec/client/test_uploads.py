"""Files in parts: only what is missing is sent, whoever goes on with them."""

import asyncio
import hashlib
import itertools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from dealrec.app.tables.uploads import UploadRow
from dealrec.cache import cache_folder
from dealrec.client import ApiError, AsyncClient, Client
from tests.dealrec.client.conftest import CONFIG, PART_BYTES, Service
from tests.dealrec.client.proxy import BUSY, LIMITED, LOST, REFUSED, Proxy

PARTS = 6


@pytest.fixture
def large(tmp_path: Path, data: Path) -> Path:
    """Interactions of six parts, the last one short."""
    path = tmp_path / "large.csv"
    lines = data.read_text().splitlines(keepends=True)
    text, user = [lines[0]], 0
    while sum(map(len, text)) < (PARTS - 0.5) * PART_BYTES:
        text += [f"v{user}-{line}" for line in lines[1:]]
        user += 1
    path.write_text("".join(text))
    assert -(-path.stat().st_size // PART_BYTES) == PARTS
    return path


@pytest.fixture(autouse=True)
def _everything_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dealrec.client.datasets.IN_PARTS_FROM_BYTES", 0)
    monkeypatch.setattr("dealrec.client.exchange._FIRST_SECONDS", 0.01)


def puts(proxy: Proxy) -> list[str]:
    return [path.rsplit("/", 1)[1] for method, path, _ in proxy.seen if method == "PUT"]


def notes() -> list[Path]:
    return list((cache_folder() / "uploads").glob("*"))


def test_a_large_file_becomes_a_job_in_parts(proxy: Proxy, large: Path) -> None:
    with Client(proxy.url) as client:
        options: dict[str, Any] = {
            "budget": 0.01,
            "config": CONFIG,
            "name": "mine",
            "idempotency_key": token_hex(8),
        }
        job = client.prune(large, **options)
        assert client.datasets.get(job.dataset_id).name == "mine"
        job.cancel()
        assert client.prune(large, **options).id == job.id
    assert puts(proxy) == [str(number + 1) for number in range(PARTS)]


@pytest.mark.parametrize("blocking", [True, False])
def test_over_a_bad_line_every_part_arrives(proxy: Proxy, large: Path, blocking: bool) -> None:
    proxy.faults = itertools.cycle([LOST, None, REFUSED, None, BUSY, LIMITED, None])

    async def send() -> tuple[str, str | None]:
        async with AsyncClient(proxy.url) as client:
            upload = await client.uploads.send(large)
            return upload.state, upload.sha256

    if blocking:
        with Client(proxy.url) as client:
            upload = client.uploads.send(large)
            found = (upload.state, upload.sha256)
    else:
        found = asyncio.run(send())
    assert found == ("complete", hashlib.sha256(large.read_bytes()).hexdigest())


def test_a_new_process_goes_on_where_killed_ones_stopped(proxy: Proxy, large: Path) -> None:
    program = (
        "import sys; from dealrec.client import Client;"
        "print(Client(sys.argv[1]).uploads.send(sys.argv[2]).received_bytes)"
    )
    command = [sys.executable, "-c", program, proxy.url, str(large)]
    for kill_after in (2, 4):
        proxy.seconds = 0.3
        process = subprocess.Popen(command)
        while len(puts(proxy)) < kill_after:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        proxy.seconds = 0.0
        time.sleep(0.5)  # the part that was under way
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) == large.stat().st_size
    assert puts(proxy) == [str(number + 1) for number in range(PARTS)]  # each of them once


def test_a_file_that_is_there_is_not_sent_again(proxy: Proxy, large: Path) -> None:
    with Client(proxy.url) as client:
        first = client.uploads.send(large)
        (large.parent / "elsewhere").mkdir()
        moved = large.rename(large.parent / "elsewhere" / large.name)
        again = client.uploads.send(moved)
        assert again.id == first.id
        assert len(puts(proxy)) == PARTS
        moved.write_text(moved.read_text() + "u,i,1\n")
        other = client.uploads.send(moved)
        assert other.id != first.id
        assert client.uploads.get(first.id).parts == []
        # Under another name it may be of another format.
        assert client.uploads.send(moved.rename(moved.with_suffix(".tsv"))).id != other.id


def test_an_upload_that_the_service_forgot_begins_anew(client: Client, large: Path) -> None:
    first = client.uploads.send(large)
    first.delete()
    again = client.uploads.send(large)
    assert again.id != first.id
    (note,) = notes()
    assert json.loads(note.read_text()) == {"upload_id": again.id}
    note.write_text("cut sho")
    assert client.uploads.send(large).id not in (first.id, again.id)


def test_what_changes_on_the_way_is_not_taken(
    service: Service, client: Client, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "dealrec.client.uploads.read_range",
        lambda path, start, count: b"x" * min(count, path.stat().st_size - start),
    )
    with pytest.raises(ApiError) as caught:
        client.uploads.send(large)
    assert (caught.value.status, caught.value.code) == (422, "upload_damaged")
    with service.database.session(write=False) as session:
        rows = session.query(UploadRow).filter_by(filename="large.csv", key=None).all()
    assert rows
