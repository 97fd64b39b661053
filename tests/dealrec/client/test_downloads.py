"""Files from the service: whole, right, and resumed."""

import asyncio
import contextlib
import hashlib
import itertools
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from dealrec.client import ApiError, AsyncClient, Client
from dealrec.client.adapters import Adapter
from dealrec.client.transport import AsyncTransport, BlockingTransport
from tests.app.conftest import Finished
from tests.dealrec.client.conftest import Service
from tests.dealrec.client.proxy import CUT, Proxy


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dealrec.client.exchange._FIRST_SECONDS", 0.01)


def ranges(proxy: Proxy) -> list[str | None]:
    return [headers.get("range") for _, path, headers in proxy.seen if "download" in path]


def test_an_adapter_has_the_same_bytes_each_time(service: Service, finished: Finished) -> None:
    url = f"{service.url}/v1/adapters/{finished.adapter}/download"
    one, two = (httpx.get(url, timeout=60) for _ in range(2))
    assert one.content == two.content
    assert one.headers["etag"] == two.headers["etag"]


@pytest.mark.parametrize("blocking", [True, False])
def test_a_download_goes_on_where_the_line_broke(
    proxy: Proxy, finished: Finished, tmp_path: Path, blocking: bool
) -> None:
    target = tmp_path / "adapter.zip"
    proxy.faults = itertools.chain([None, CUT, CUT, CUT], itertools.repeat(None))

    async def fetch() -> None:
        async with AsyncClient(proxy.url) as client:
            await (await client.adapters.get(finished.adapter)).download(target)

    if blocking:
        with Client(proxy.url) as client:
            client.adapters.get(finished.adapter).download(target)
    else:
        asyncio.run(fetch())
    assert zipfile.ZipFile(target).testzip() is None
    first, *others = ranges(proxy)
    assert first is None
    starts = [int(str(other).removeprefix("bytes=").removesuffix("-")) for other in others]
    assert len(starts) == 3
    assert starts == sorted(set(starts))
    assert list(tmp_path.glob("*.part")) == []


def test_another_process_goes_on_too(proxy: Proxy, finished: Finished, tmp_path: Path) -> None:
    target = tmp_path / "adapter.zip"
    with Client(proxy.url, retries=0) as client:
        adapter = client.adapters.get(finished.adapter)
        proxy.faults = iter([CUT])
        with pytest.raises(ApiError, match="did not answer"):
            adapter.download(target)
    assert not target.exists()
    (part,) = tmp_path.glob("*.part")
    begun = part.stat().st_size
    assert begun > 0
    with Client(proxy.url) as client:
        client.adapters.get(finished.adapter).download(target)
    assert ranges(proxy) == [None, f"bytes={begun}-"]
    assert zipfile.ZipFile(target).testzip() is None


def test_a_beginning_of_other_content_is_thrown_away(
    client: Client, finished: Finished, tmp_path: Path
) -> None:
    target = tmp_path / "adapter.zip"
    stale = tmp_path / f"adapter.zip.{'0' * 64}.part"
    stale.write_bytes(b"something else")
    client.adapters.get(finished.adapter).download(target)
    assert zipfile.ZipFile(target).testzip() is None
    assert not stale.exists()


def test_a_damaged_beginning_is_noticed(client: Client, finished: Finished, tmp_path: Path) -> None:
    adapter, target = client.adapters.get(finished.adapter), tmp_path / "adapter.zip"
    whole = adapter.download(target).read_bytes()
    part = tmp_path / f"adapter.zip.{hashlib.sha256(whole).hexdigest()}.part"
    part.write_bytes(b"x" * 100)
    with pytest.raises(ApiError) as caught:
        adapter.download(target)
    assert caught.value.code == "download_damaged"
    assert not part.exists()
    part.write_bytes(whole)  # all of it, and a name that it was not given yet
    target.unlink()
    assert adapter.download(target).read_bytes() == whole


class _Slow(BaseHTTPRequestHandler):
    """Answers after longer than the client's usual patience."""

    def do_GET(self) -> None:
        time.sleep(0.6)
        self.send_response(200)
        self.send_header("etag", f'"{hashlib.sha256(b"merged").hexdigest()}"')
        self.send_header("content-length", "6")
        self.end_headers()
        with contextlib.suppress(OSError):  # the client has gone
            self.wfile.write(b"merged")

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("blocking", [True, False])
def test_a_merged_model_may_take_longer_than_the_clients_timeout(
    tmp_path: Path, blocking: bool
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url, target = f"http://127.0.0.1:{server.server_port}", tmp_path / "merged.zip"
        facts = {"id": "ad_1", "job_id": "job_1", "dataset_id": "ds_1", "coreset_id": "cs_1", "model": "m",
                 "config": {}, "metrics": {}, "files": [], "object": "adapter",
                 "created_at": "2026-01-01T00:00:00Z"}  # fmt: skip

        async def fetch() -> None:
            async with AsyncClient(url, timeout=0.2, retries=0) as client:
                adapter = Adapter[AsyncTransport].received(client.transport, facts)
                await adapter.download_merged(target)

        if blocking:
            with Client(url, timeout=0.2, retries=0) as client:
                adapter = Adapter[BlockingTransport].received(client.transport, facts)
                with pytest.raises(ApiError, match="did not answer"):
                    adapter.download(tmp_path / "adapter.zip")
                adapter.download_merged(target)
        else:
            asyncio.run(fetch())
        server.shutdown()
    assert target.read_bytes() == b"merged"
