"""Processes of stages that are forked, as the worker sees them: the server that forks, and each fork."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from functools import cache

import structlog

from dealrec.stages.registry import late_modules
from dealrec.worker.fork_server import Unfit
from dealrec.worker.messages import ForkOrder, StageOrder
from dealrec.worker.system import Adoption

log = structlog.get_logger(__name__)

_SERVER = "dealrec.worker.fork_server"
_PAUSE = 0.01
_LIBRARIES = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""The server's own variables: Arrow's allocator would start a thread."""


class ForkServer:
    """Starts :mod:`dealrec.worker.fork_server` when it is needed, and again after it has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._adoption = Adoption()
        self._fit = sys.platform == "linux"
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._environment: dict[str, str] = {}

    @property
    def pid(self) -> int | None:
        """The id of the server's process, if one was started."""
        return None if self._process is None else self._process.pid

    def ask(
        self, stage: StageOrder, environment: Mapping[str, str], streams: tuple[int, int, int]
    ) -> bool:
        """Order a fork whose standard input, log and pipe are ``streams``; ``False``: there is none here.

        The process says through the pipe that it was forked; :meth:`settled` must be called then, or when
        the pipe has ended without that.
        """
        with self._lock:
            if not self._ready(environment):
                return False
            names = environment.keys() | self._environment.keys()
            changed = {
                name: environment.get(name)
                for name in names
                if environment.get(name) != self._environment.get(name)
            }
            order = ForkOrder(
                stage=stage.stage,
                modules=late_modules(stage.stage, stage.config),
                tick_seconds=stage.tick_seconds,
                environment=changed,
            )
            assert self._socket is not None
            self._adoption.begin()
            try:
                socket.send_fds(self._socket, [order.model_dump_json().encode()], list(streams))
            except OSError:  # it died this instant, or the order is too long
                self._adoption.end()
                return False
            return True

    def settled(self) -> None:
        """The process of an order was forked, or never will be."""
        self._adoption.end()

    def give_up(self, reason: str) -> None:
        """Fork no more."""
        log.warning("stages are started anew: a fork is not fit here", reason=reason)
        self._fit = False

    def end(self) -> None:
        """End the server's process; forks live on, and an order that is not carried out is lost."""
        with self._lock:
            self._end()

    def _ready(self, environment: Mapping[str, str]) -> bool:
        status = None if self._process is None else self._process.poll()
        if self._fit and status in list(Unfit):
            self.give_up(Unfit(status).name.lower())
        if not self._fit:
            self._end()
        elif self._process is None or status is not None:
            self._start(environment)
        return self._fit

    def _start(self, environment: Mapping[str, str]) -> None:
        self._end()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._environment = {**environment, **_LIBRARIES}
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", _SERVER, str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=self._environment,
                start_new_session=True,
            )

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@cache
def fork_server() -> ForkServer:
    """Return this process's one server."""
    return ForkServer()


class ForkedProcess:
    """A fork that this process has adopted; waits as :class:`subprocess.Popen` does."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._lock = threading.Lock()

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status, negative for a signal; raises ``subprocess.TimeoutExpired``."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._lock:
                if self.returncode is None:
                    self.returncode = self._status()
            if self.returncode is not None:
                return self.returncode
            if deadline is not None and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(f"stage {self.pid}", timeout or 0)
            time.sleep(_PAUSE)

    def _status(self) -> int | None:
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:  # somebody else has waited for it
            return 0
        return os.waitstatus_to_exitcode(status) if pid else None
