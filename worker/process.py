"""A stage's process as its parent sees it: what it said, whether it is alive, how it ended."""

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from dealrec.app.tables.jobs import StoredCurves
from dealrec.config.runtime import yielding_environment
from dealrec.progress import Curves
from dealrec.worker.messages import (
    ANSWER,
    Ending,
    Event,
    Metric,
    News,
    Point,
    Progress,
    StageOrder,
    Start,
    Tick,
)

_TAIL = 4000
_RESIDENT = ("RssAnon:", "RssShmem:")


class StageProcess:
    """Starts ``python -m dealrec.worker.child`` in a session of its own and listens to it.

    What the process prints goes to ``scratch/output.log``. Use as a context manager: at its end
    the process group is gone.
    """

    def __init__(self, order: StageOrder, scratch: Path) -> None:
        self.progress: Progress | None = None
        self.metrics: dict[str, float] = {}
        self.ending: Ending | None = None
        """The last message; ``None`` while it runs, and where it died without one."""
        self.last_line = time.monotonic()
        self.peak_memory_bytes = 0
        self.used_gpu = False
        self._events: list[Event] = []
        self._curves = Curves()
        self._lock = threading.Lock()
        self._log = scratch / "output.log"
        read_end, write_end = os.pipe()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dealrec.worker.child"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(write_end,),
                # Temporary files of libraries go with the scratch folder, however the process ends.
                env={**yielding_environment(), "TMPDIR": str(scratch.absolute())},
                start_new_session=True,
            )
        os.close(write_end)
        self._reader = threading.Thread(
            target=self._listen, args=(os.fdopen(read_end, "rb"),), daemon=True
        )
        self._reader.start()
        self._say(Start(order=order, pipe=write_end, parent=os.getpid()).model_dump_json())

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
        try:
            lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        except OSError:  # it has ended, or this is no Linux
            return 0
        found = 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(_RESIDENT))
        self.peak_memory_bytes = max(self.peak_memory_bytes, found)
        return found

    def wait(self, seconds: float) -> bool:
        """Whether the process has ended, after at most ``seconds``."""
        try:
            self._process.wait(seconds)
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
        self._say("cancel")
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """End the whole process group, now."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(5)
        if self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    @property
    def was_killed(self) -> bool:
        """Whether it ended by SIGKILL, as the kernel does where memory runs out."""
        return self._process.returncode == -signal.SIGKILL

    def how_it_died(self) -> str:
        """``signal SIGKILL`` or ``exit status 1``."""
        status = self._process.returncode
        if status is not None and status < 0:
            return f"signal {signal.Signals(-status).name}"
        return f"exit status {status}"

    def output(self) -> str:
        """The end of what it printed, for the worker's log."""
        with self._log.open("rb") as file:
            file.seek(max(0, self._log.stat().st_size - _TAIL))
            return file.read().decode(errors="replace")

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it is dead: wait() tells
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def _listen(self, pipe: BinaryIO) -> None:
        with pipe:
            for line in pipe:
                try:
                    message = ANSWER.validate_json(line)
                except ValidationError:
                    continue  # its death cut the line off
                self.last_line = time.monotonic()
                self._take(message)

    def _take(self, message: News | Ending) -> None:
        self.used_gpu = message.used_gpu or self.used_gpu
        match message:
            case Tick():
                pass
            case Progress():
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
