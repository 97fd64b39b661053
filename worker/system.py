"""Calls that Linux alone has: a process that dies with its parent, a parent by adoption, a name."""

import ctypes
import os
import signal
import sys
import threading

_SET_PDEATHSIG, _SET_NAME, _SET_CHILD_SUBREAPER = 1, 15, 36
"""Operations of ``prctl`` (``linux/prctl.h``)."""


def die_with(parent: int) -> None:
    """Have the kernel kill this process when ``parent`` ends; ends at once where it has ended already."""
    _prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it died before the line above


def call_this_process(name: str) -> None:
    """Set the name that ``ps -o comm`` and ``top`` show, of which the kernel keeps 15 characters."""
    _prctl(_SET_NAME, name.encode())


class Adoption:
    """While it is on, a process below this one whose parent ends becomes a child of this process.

    Calls are counted: it ends with as many calls of :meth:`end` as there were of :meth:`begin`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun = 0

    def begin(self) -> None:
        self._count(1)

    def end(self) -> None:
        self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:
            self._begun += change
            _prctl(_SET_CHILD_SUBREAPER, int(self._begun > 0))


def _prctl(operation: int, value: int | bytes) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(operation, value, 0, 0, 0)
