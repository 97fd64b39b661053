"""``dealrec serve`` runs the API in this process and the embedded worker in a child process."""

import os
import signal
import socket
import subprocess
import sys
import threading
from types import TracebackType
from typing import Self

import structlog
import uvicorn

from dealrec.app.gate.middleware import is_loopback
from dealrec.app.gate.protocol import BoundedProtocol
from dealrec.app.keys.service import ensure_bootstrap, keys_required
from dealrec.app.kit.database import Database
from dealrec.app.kit.logging import configure_logging
from dealrec.app.main import create_app
from dealrec.app.settings import Settings
from dealrec.errors import InputError
from dealrec.extras import Extra, missing
from dealrec.terminal import say

_LOG = structlog.get_logger("dealrec.serve")
_RESTART_SECONDS = 1.0
_STOP_SECONDS = 13.0
"""The worker is killed after this time; with the server's stop it stays below a supervisor's 20 s."""
_FINISH_SECONDS = 5
"""Running requests may take this long after the server stops, as streams of events never end."""


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises :class:`InputError`: ``address_not_usable`` if the port is taken or the host is not this
    machine's, before anything is written; ``keys_needed`` if other machines can reach the address
    while no key exists.
    """
    configure_logging()
    listener = _listen(host, port)
    _prepare(settings, host)
    if not settings.broker_url and missing(Extra.WORKER):
        say(f"No worker runs here, so jobs wait. Install the worker with `{Extra.WORKER.pip}`.")
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            host=host,
            port=port,
            http=BoundedProtocol,
            log_config=None,
            timeout_graceful_shutdown=_FINISH_SECONDS,
        )
    )
    # Uvicorn raises the signal again after it has stopped; the worker still has to be stopped then.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    address = f"[{host}]" if ":" in host else host
    say(f"DEALRec listens on http://{address}:{listener.getsockname()[1]}")
    if settings.broker_url or missing(Extra.WORKER):
        server.run(sockets=[listener])
        return
    with EmbeddedWorker(settings):
        server.run(sockets=[listener])


class EmbeddedWorker:
    """The worker's process, which is started, restarted when it dies, and stopped at the end."""

    def __init__(self, settings: Settings) -> None:
        self._environment = {**os.environ, "DEALREC_DATA_DIR": str(settings.data_dir.absolute())}
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._watch, name="embedded-worker", daemon=True)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join(_STOP_SECONDS)

    def _watch(self) -> None:
        while True:
            with self._lock:
                if self._stopping.is_set():
                    return
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "dealrec.worker.loop"],
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                )
            status = self._process.wait()
            if not self._stopping.is_set():
                _LOG.warning("worker_died", status=status)
                self._stopping.wait(_RESTART_SECONDS)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(
            f"The server cannot listen on port {port} of {host}: {error.strerror}. Choose another port "
            "with `--port` (0 picks a free one), or another address with `--host`.",
            code="address_not_usable",
            title="The address cannot be used",
        ) from error


def _prepare(settings: Settings, host: str) -> None:
    database = Database(settings)
    try:
        if not database.is_postgres:
            database.migrate()
        ensure_bootstrap(database, settings)
        with database.session(write=False) as session:
            if not is_loopback(host) and not keys_required(session, settings):
                raise InputError(
                    f"{host} can be reached from other machines, but no API key exists. Create one "
                    "with `dealrec keys create`, set DEALREC_BOOTSTRAP_KEY, or listen on 127.0.0.1.",
                    code="keys_needed",
                    title="API keys are needed",
                )
    finally:
        database.dispose()
