"""The process that stages are forked from, so that libraries are loaded once and not for every stage.

``python -m dealrec.worker.fork_server SOCKET WORKER``: reads one order after the other, loads what the stage
needs, and forks. What was loaded stays for the stages to come. It ends when the worker does, and after a
while without an order, which gives its memory back.

The fork's parent is a process that ends at once, so that the worker adopts the fork: it waits for it, sees
how it ends, and is all that it depends on. This process may die at any time and takes no stage along.

Threads and GPUs do not survive a fork, so nothing may use them here. This is checked before each fork, and
where it does not hold this process ends with a status of :class:`Unfit`: the worker starts stages anew then.
"""

import gc
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from importlib import import_module
from pathlib import Path

from dealrec.worker.child import loaded, run_and_exit
from dealrec.worker.messages import Forked, ForkOrder, Tick
from dealrec.worker.system import die_with

LONGEST_ORDER = 2**16
"""The bytes of an order."""
_DESCRIPTORS = 3
_IDLE_SECONDS = 600.0
_GPUS = ("/dev/nvidia", "/dev/kfd")
_PAUSE = 0.001


class Unfit(IntEnum):
    """The exit status where a fork would not be fit."""

    THREADS = 64
    """A library has started threads."""
    GPU = 65
    """A library has opened a GPU."""


def main(connection: socket.socket, worker: int) -> int:
    """Serve until the worker is gone; returns the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the worker's to answer
    die_with(worker)
    connection.settimeout(_IDLE_SECONDS)
    ready: set[tuple[str, ...]] = set()
    while True:
        try:
            message, descriptors, _, _ = socket.recv_fds(connection, LONGEST_ORDER, _DESCRIPTORS)
        except TimeoutError:
            return 0
        if not message:
            return 0
        order = ForkOrder.model_validate_json(message)
        needed = (order.stage, *order.modules)
        if needed not in ready:
            with _ticking(descriptors[-1], order.tick_seconds), suppress(Exception):
                _load(order)  # what it raises is raised in the stage's process again
            ready.add(needed)
        unfit = _unfit()
        if unfit is not None:
            return unfit
        _fork(order, connection, descriptors, worker)


def _load(order: ForkOrder) -> None:
    loaded(order.stage)
    for module in order.modules:
        import_module(module)


def _fork(order: ForkOrder, connection: socket.socket, descriptors: list[int], worker: int) -> None:
    gc.freeze()  # a collection in the fork would copy every page
    between = os.fork()
    if between == 0:
        between = os.getpid()
        if os.fork() == 0:
            try:
                _prepare(order, connection, descriptors)
                adopted = _adopted(between, worker)
                told = Forked(pid=os.getpid(), pipe=descriptors[-1], adopted=adopted)
                os.write(descriptors[-1], told.model_dump_json().encode() + b"\n")
                if not adopted:
                    os._exit(1)
            except BaseException:
                os._exit(1)
            run_and_exit()
        os._exit(0)
    os.waitpid(between, 0)
    for descriptor in descriptors:
        os.close(descriptor)


def _prepare(order: ForkOrder, connection: socket.socket, descriptors: list[int]) -> None:
    """Make this fork a process as the worker would have started it."""
    stdin, log, _ = descriptors
    os.setsid()
    for target, source in enumerate((stdin, log, log)):
        os.dup2(source, target)
    connection.close()
    os.close(stdin)
    os.close(log)
    for name, value in order.environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    tempfile.tempdir = None  # read from the environment anew


def _adopted(between: int, worker: int) -> bool:
    while os.getppid() == between:
        time.sleep(_PAUSE)
    return os.getppid() == worker


@contextmanager
def _ticking(pipe: int, seconds: float) -> Iterator[None]:
    """Tell the worker that this process is alive; the thread that does has ended before the fork."""
    done = threading.Event()
    line = Tick().model_dump_json().encode() + b"\n"

    def tick() -> None:
        while not done.wait(seconds):
            with suppress(OSError):  # the stage was given up
                os.write(pipe, line)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _unfit() -> Unfit | None:
    deadline = time.monotonic() + 1
    while len(list(Path("/proc/self/task").iterdir())) > 1:
        if time.monotonic() > deadline:  # a thread that was joined is listed for a moment more
            return Unfit.THREADS
        time.sleep(_PAUSE)
    opened = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists them
            opened.append(str(descriptor.readlink()))
    return Unfit.GPU if any(path.startswith(_GPUS) for path in opened) else None


if __name__ == "__main__":
    os._exit(main(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])))
