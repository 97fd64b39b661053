"""The process of one stage: reads its order from standard input, speaks JSON lines through a pipe.

Standard input stays open while the parent lives: a line ``cancel`` asks to stop, its end means that
the parent is gone, and then this process group ends at once. Loads torch only in the stages that
use it; has no database and no storage.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import threading
import time
import traceback
from typing import Any

from dealrec.errors import Cancelled, DealrecError
from dealrec.worker.stages.context import StageContext
from dealrec.worker.stages.registry import load_stage

_PR_SET_PDEATHSIG = 1
_PROGRESS_SECONDS = 0.25


class PipeReporter:
    """Tells the parent about the work, and stops it when the parent asks to."""

    def __init__(self, pipe: int) -> None:
        self._pipe = os.fdopen(pipe, "w", encoding="utf-8")
        self._lock = threading.Lock()
        self._last = 0.0
        self.cancelled = threading.Event()

    def send(self, kind: str, **data: Any) -> None:
        """One line to the parent, which says once it is true that a GPU is used."""
        gpu = {"used_gpu": True} if _uses_gpu() else {}
        line = json.dumps({"kind": kind, **gpu, **data})
        with self._lock:
            self._pipe.write(line + "\n")
            self._pipe.flush()

    def progress(self, done: int, total: int, unit: str) -> None:
        if self.cancelled.is_set():
            raise Cancelled("The stage was asked to stop.")
        now = time.monotonic()
        if done >= total or now - self._last >= _PROGRESS_SECONDS:
            self._last = now
            self.send("progress", progress={"done": done, "total": total, "unit": unit})

    def metric(self, name: str, value: float) -> None:
        self.send("metric", name=name, value=float(value))

    def event(self, kind: str, **data: Any) -> None:
        self.send("event", event=kind, data=data)


def main() -> int:
    """Run one stage; the exit status is 0 whenever the parent was told how it ended."""
    order = json.loads(sys.stdin.readline())
    _die_with(order["parent"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would hold rows
    if order["memory_bytes"] is not None:
        resource.setrlimit(resource.RLIMIT_AS, (order["memory_bytes"],) * 2)
    reporter = PipeReporter(order["pipe"])
    signal.signal(signal.SIGTERM, lambda *_: reporter.cancelled.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_listen, args=(reporter,), daemon=True).start()
    threading.Thread(target=_tick, args=(reporter, order["tick_seconds"]), daemon=True).start()
    try:
        result = load_stage(order["stage"])(StageContext.from_order(order, reporter))
        reporter.send("result", details=result.details, metrics=result.metrics)
    except Cancelled:
        reporter.send("cancelled")
    except DealrecError as error:
        reporter.send("problem", problem=error.to_problem())
    except Exception as error:
        if _for_lack_of_memory(error):
            reporter.send("memory_error")
            return 0
        # Its message may quote rows, so only its type and place leave this process.
        frames = traceback.format_tb(error.__traceback__)
        reporter.send("exception", type=type(error).__name__, frames=frames[-8:])
    return 0


def _for_lack_of_memory(error: Exception) -> bool:
    """Python's own, an accelerator's, or that of torch's allocator for the CPU, a plain RuntimeError."""
    known = type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)
    return known or isinstance(error, MemoryError)


def _uses_gpu() -> bool:
    """Whether torch was loaded, and has begun to use a GPU: asking must do neither."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)  # it may be half loaded
    return cuda is not None and hasattr(cuda, "is_initialized") and bool(cuda.is_initialized())


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it died before the line above


def _listen(reporter: PipeReporter) -> None:
    # Unbuffered reads: a buffered one would hold standard input's lock when the process exits.
    while data := os.read(0, 4096):
        if b"cancel" in data:
            reporter.cancelled.set()
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _tick(reporter: PipeReporter, seconds: float) -> None:
    """Shows that this process is not stopped, however long a batch takes."""
    while True:
        time.sleep(seconds)
        reporter.send("tick")


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # no waiting for threads of libraries
