"""A real service with a real worker, and the ways to it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
import uvicorn
from typer.testing import CliRunner, Result

from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.main import create_app
from dealrec.app.settings import Settings
from dealrec.cli import register as register_library
from dealrec.client import Client
from tests.app.conftest import Finished, Finisher
from tests.dealrec.client.proxy import Proxy, proxied
from tests.worker.makers import TINY, interactions
from tests.worker.processes import embedded

CONFIG: dict[str, Any] = TINY
ENDLESS: dict[str, Any] = {
    **TINY,
    "surrogate": {**TINY["surrogate"], "epochs": 9999, "patience": 9999},
}
PART_BYTES = 64 * 1024
Run = Callable[..., Result]


@dataclass(frozen=True)
class Service:
    """A running service and what is behind it."""

    url: str
    database: Database
    storage: Storage


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """The API in a thread of this process, on a free port."""
    config = uvicorn.Config(create_app(settings), port=0, log_config=None)
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    try:
        while not server.started:
            time.sleep(0.01)
        yield url
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for all tests of the client; each makes its own things in it."""
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("service"),
        upload_part_bytes=PART_BYTES,
        poll_seconds=0.05,
        torch_threads=1,
    )
    database = Database(settings)
    database.migrate()
    with embedded(settings), served(settings) as url:
        yield Service(url, database, Storage(settings))
    database.dispose()


@pytest.fixture
def run(service: Service) -> Run:
    """A command that asks the service, invoked."""
    application = typer.Typer()
    register_library(application)

    def invoked(*arguments: object) -> Result:
        environment = {"DEALREC_SERVER": service.url}
        return CliRunner().invoke(application, [str(a) for a in arguments], env=environment)

    return invoked


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.url) as client:
        yield client


@pytest.fixture
def proxy(service: Service) -> Iterator[Proxy]:
    with proxied(service.url) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEALREC_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """60 users with 8 interactions each."""
    path = tmp_path / "interactions.csv"
    path.write_text(interactions())
    return path


@pytest.fixture
def finished(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A finished job with its coreset, and its adapter, without the time that they take."""
    folder = tmp_path_factory.mktemp("finished")
    return Finisher(service.database, service.storage, folder).all()


@pytest.fixture
def count(service: Service) -> Callable[[str], int]:
    """How many things of a kind there are."""

    def counted(path: str) -> int:
        total, after = 0, None
        while True:
            query = {"limit": 200, **({"after": after} if after else {})}
            page = httpx.get(f"{service.url}{path}", params=query, timeout=60).json()
            total += len(page["data"])
            after = page["next"]
            if after is None:
                return total

    return counted
