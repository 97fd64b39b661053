"""The process of one stage: reads its order from standard input, speaks JSON lines through a pipe.

Standard input stays open while the parent lives: a line ``cancel`` asks to stop, its end means that
the parent is gone, and then this process group ends at once. Loads torch only in the stages that
use it; has no database and no storage.
"""

import gc
import os
import resource
import signal
import sys
import threading
import time
import traceback
from typing import Any, NoReturn

from dealrec.config.stages import StageName
from dealrec.errors import Cancelled, DealrecError
from dealrec.stages.registry import Run, load_stage
from dealrec.worker.messages import (
    Ending,
    Event,
    Finished,
    Metric,
    News,
    NoMemory,
    Point,
    Progress,
    Raised,
    Refused,
    Start,
    Stopped,
    Tick,
)
from dealrec.worker.system import call_this_process, die_with

_PROGRESS_SECONDS = 0.25


class PipeReporter:
    """Tells the parent about the work, and stops it when the parent asks to."""

    def __init__(self, pipe: int) -> None:
        self._pipe = os.fdopen(pipe, "w", encoding="utf-8")
        self._lock = threading.Lock()
        self._last = 0.0
        self.cancelled = threading.Event()

    def send(self, message: News | Ending) -> None:
        """Write one line to the parent; every line says whether a GPU is used by now."""
        line = message.model_copy(update={"used_gpu": _uses_gpu()}).model_dump_json()
        with self._lock:
            self._pipe.write(line + "\n")
            self._pipe.flush()

    def progress(self, done: int, total: int, unit: str) -> None:
        if self.cancelled.is_set():
            raise Cancelled("The stage was asked to stop.")
        now = time.monotonic()
        if done >= total or now - self._last >= _PROGRESS_SECONDS:
            self._last = now
            self.send(Progress(done=done, total=total, unit=unit))

    def metric(self, name: str, value: float) -> None:
        self.send(Metric(name=name, value=float(value)))

    def point(self, name: str, step: int, value: float) -> None:
        self.send(Point(name=name, step=step, value=float(value)))

    def event(self, kind: str, **data: Any) -> None:
        self.send(Event(event=kind, data=data))


def main() -> int:
    """Run one stage; the exit status is 0 whenever the parent was told how it ended."""
    start = Start.model_validate_json(sys.stdin.readline())
    order = start.order
    die_with(start.parent)
    call_this_process(f"stage:{order.stage}")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would hold rows
    if order.memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (order.memory_bytes,) * 2)
    reporter = PipeReporter(start.pipe)
    signal.signal(signal.SIGTERM, lambda *_: reporter.cancelled.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_listen, args=(reporter,), daemon=True).start()
    threading.Thread(target=_tick, args=(reporter, order.tick_seconds), daemon=True).start()
    try:
        result = loaded(order.stage)(order.context(reporter))
        reporter.send(Finished(details=result.details, metrics=result.metrics))
    except Cancelled:
        reporter.send(Stopped())
    except DealrecError as error:
        reporter.send(Refused(problem=error.to_problem()))
    except Exception as error:
        if _for_lack_of_memory(error):
            reporter.send(NoMemory())
            return 0
        frames = traceback.format_tb(error.__traceback__)
        reporter.send(Raised(type=type(error).__name__, frames=frames[-8:]))
    return 0


def loaded(stage: StageName) -> Run:
    """The stage's function; what loading made, hundreds of thousands of objects, is never garbage.

    Python would look through all of them again and again: the stage `effort` took 2.1 s to load, not 1.7 s.
    """
    gc.disable()
    run = load_stage(stage)
    gc.freeze()
    gc.enable()
    return run


def _for_lack_of_memory(error: Exception) -> bool:
    """Whether an allocation failed: in Python, on an accelerator, or in torch's CPU allocator.

    The CPU allocator raises a plain ``RuntimeError``.
    """
    known = type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)
    return known or isinstance(error, MemoryError)


def _uses_gpu() -> bool:
    """Whether torch was loaded, and has begun to use a GPU: asking must do neither."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)  # it may be half loaded
    return cuda is not None and hasattr(cuda, "is_initialized") and bool(cuda.is_initialized())


def _listen(reporter: PipeReporter) -> None:
    # Unbuffered reads: a buffered one would hold standard input's lock when the process exits.
    while data := os.read(0, 4096):
        if b"cancel" in data:
            reporter.cancelled.set()
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _tick(reporter: PipeReporter, seconds: float) -> None:
    """Show that this process is not stopped, however long a batch takes."""
    while True:
        time.sleep(seconds)
        reporter.send(Tick())


def run_and_exit() -> NoReturn:
    """Run :func:`main` and end this process, without waiting for threads of libraries."""
    status = 1
    try:
        status = main()
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
        finally:
            os._exit(status)  # a fork must never go on as its server would, whatever was raised


if __name__ == "__main__":
    run_and_exit()
