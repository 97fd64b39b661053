"""A stage's process as its parent sees it: what it said, whether it is alive, how it ended."""

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from dealrec.app.tables.jobs import StoredCurves
from dealrec.config.runtime import yielding_environment
from dealrec.progress import Curves
from dealrec.worker.forks import ForkedProcess, fork_server
from dealrec.worker.messages import (
    ANSWER,
    Ending,
    Event,
    Forked,
    Metric,
    News,
    Point,
    Progress,
    StageOrder,
    Start,
    Tick,
)

_TAIL = 4000
_EXIT_SECONDS = 5.0
"""How long a process may take to end after it has closed its pipe."""
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""NumPy's algebra starts its threads when it is loaded, and a fork has none."""
_RESIDENT = ("RssAnon:", "RssShmem:")


@dataclass(frozen=True)
class ProgressTimes:
    """When progress was first told and last, by the clock ``time.monotonic``."""

    first_done: int
    first: float
    last: float

    @classmethod
    def after(cls, before: "ProgressTimes | None", done: int, now: float) -> "ProgressTimes":
        """The times once ``done`` is told; a counter that begins anew has a new first time."""
        if before is None or done < before.first_done:
            return cls(done, now, now)
        return replace(before, last=now)


class StageProcess:
    """Starts the process of a stage in a session of its own and listens to it.

    It is a fork of :mod:`dealrec.worker.fork_server` where ``fork`` is asked for and fit, and
    ``python -m dealrec.worker.child`` otherwise. A stage with a limit on its address space is never a fork:
    the libraries of other stages would count. What the process prints goes to ``scratch/output.log``.
    Use as a context manager: at its end the process group is gone.
    """

    def __init__(self, order: StageOrder, scratch: Path, *, fork: bool) -> None:
        self.progress: Progress | None = None
        self.pace: ProgressTimes | None = None
        self.metrics: dict[str, float] = {}
        self.ending: Ending | None = None
        """The last message; ``None`` while it runs, and where it died without one."""
        self.last_line = time.monotonic()
        self.peak_memory_bytes = 0
        self.used_gpu = False
        self._events: list[Event] = []
        self._curves = Curves()
        self._lock = threading.Lock()
        self._speaking = threading.RLock()
        self._order = order
        self._log = scratch / "output.log"
        self._environment = {
            **_ONE_THREAD,
            **yielding_environment(),
            # Temporary files of libraries go with the scratch folder, however the process ends.
            "TMPDIR": str(scratch.absolute()),
        }
        self._process: subprocess.Popen[bytes] | ForkedProcess | None = None
        """``None`` until the fork is there: libraries may have to be loaded first."""
        self._start(fork=fork and order.memory_bytes is None)

    def _start(self, *, fork: bool) -> None:
        stdin, orders = os.pipe()
        answers, pipe = os.pipe()
        self._orders = os.fdopen(orders, "wb")
        try:
            with self._log.open("wb") as log:
                streams = (stdin, log.fileno(), pipe)
                forking = fork and fork_server().ask(self._order, self._environment, streams)
                if not forking:
                    self._process = subprocess.Popen(
                        [sys.executable, "-m", "dealrec.worker.child"],
                        stdin=stdin,
                        stdout=log,
                        stderr=log,
                        pass_fds=(pipe,),
                        env=self._environment,
                        start_new_session=True,
                    )
        except BaseException:
            os.close(answers)
            self._orders.close()
            raise
        finally:
            os.close(stdin)
            os.close(pipe)
        self._reader = threading.Thread(
            target=self._listen, args=(os.fdopen(answers, "rb"), forking), daemon=True
        )
        self._reader.start()
        if not forking:
            self._say_what_to_do(pipe)

    def __enter__(self) -> "StageProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def silent_seconds(self) -> float:
        """The seconds since the last line; a stopped process (SIGSTOP) sends none."""
        return time.monotonic() - self.last_line

    def look_at_memory(self) -> int:
        """Resident memory that is the process's own, without the files it has mapped; 0 if unknown.

        ``peak_memory_bytes`` is the most that was ever seen. Looked at from outside rather than
        limited by the kernel: ``RLIMIT_AS`` counts what torch and CUDA merely reserve, which is
        many times what they use, and ``RLIMIT_DATA`` the stacks of all threads.
        """
        if self._process is None:
            return 0
        try:
            lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        except OSError:  # it has ended, or this is no Linux
            return 0
        found = 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(_RESIDENT))
        self.peak_memory_bytes = max(self.peak_memory_bytes, found)
        return found

    def wait(self, seconds: float) -> bool:
        """Whether the process has ended, after at most ``seconds``."""
        self._reader.join(seconds)  # its end of the pipe closes when the process ends
        listening = self._reader.is_alive()
        if self._process is None:
            if not listening:  # the server died before it could fork
                self._orders.close()
                self._start(fork=False)
            return False
        try:
            self._process.wait(0 if listening else _EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        self._reader.join(5)
        return True

    def take_events(self) -> list[Event]:
        """The events since the last call."""
        with self._lock:
            taken, self._events = self._events, []
        return taken

    @property
    def curves(self) -> StoredCurves:
        """The curves so far; what is no number is ``None``, which JSON has a word for."""
        with self._lock:
            points = self._curves.points()
        return {
            name: [(step, value if math.isfinite(value) else None) for step, value in curve]
            for name, curve in points.items()
        }

    def ask_to_stop(self) -> None:
        """Ask the process to raise ``Cancelled`` at its next batch."""
        if self._process is None:
            self.kill()
            return
        self._say("cancel")
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the whole process group, now."""
        if self._process is None:
            fork_server().end()  # nothing else stops a library from being loaded
            while self._process is None and self._reader.is_alive():
                self._reader.join(0.01)
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._reader.join(5)
        with contextlib.suppress(OSError):
            self._orders.close()

    @property
    def was_killed(self) -> bool:
        """Whether it ended by SIGKILL, as the kernel does where memory runs out."""
        return self._status == -signal.SIGKILL

    @property
    def _status(self) -> int | None:
        return None if self._process is None else self._process.returncode

    def how_it_died(self) -> str:
        """``signal SIGKILL`` or ``exit status 1``."""
        status = self._status
        if status is not None and status < 0:
            return f"signal {signal.Signals(-status).name}"
        return f"exit status {status}"

    def output(self) -> str:
        """The end of what it printed, for the worker's log."""
        with self._log.open("rb") as file:
            file.seek(max(0, self._log.stat().st_size - _TAIL))
            return file.read().decode(errors="replace")

    def _say_what_to_do(self, pipe: int) -> None:
        self._say(Start(order=self._order, pipe=pipe, parent=os.getpid()).model_dump_json())

    def _say(self, line: str) -> None:
        # It is dead (wait() tells), or was given up.
        with self._speaking, contextlib.suppress(OSError, ValueError):
            self._orders.write(line.encode() + b"\n")
            self._orders.flush()

    def _listen(self, pipe: BinaryIO, forking: bool) -> None:
        with pipe:
            for line in pipe:
                try:
                    message = ANSWER.validate_json(line)
                except ValidationError:
                    continue  # its death cut the line off
                self.last_line = time.monotonic()
                if isinstance(message, Forked):
                    fork_server().settled()
                    forking = False
                    if not message.adopted:
                        fork_server().give_up("adoption")
                        continue
                    with self._speaking:  # nothing is said before it knows what to do
                        self._process = ForkedProcess(message.pid)
                        self._say_what_to_do(message.pipe)
                else:
                    self._take(message)
        if forking:
            fork_server().settled()

    def _take(self, message: News | Ending) -> None:
        self.used_gpu = message.used_gpu or self.used_gpu
        match message:
            case Tick():
                pass
            case Progress():
                self.pace = ProgressTimes.after(self.pace, message.done, time.monotonic())
                self.progress = message
            case Metric(name=name, value=value):
                self.metrics = {**self.metrics, name: value}
            case Point(name=name, step=step, value=value):
                with self._lock:
                    self._curves.add(name, step, value)
            case Event():
                with self._lock:
                    self._events.append(message)
            case _:
                self.ending = message
