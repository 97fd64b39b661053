"""Programs of the library that answer one request in a process of their own."""

import subprocess
import sys
import threading

from dealrec.config.runtime import yielding_environment


class Program:
    """A module that reads a request from its input and writes an answer; one runs at a time.

    Args:
        module: It is run as ``python -m MODULE``.
        seconds: How long an answer may take.
    """

    def __init__(self, module: str, seconds: float) -> None:
        self._module, self.seconds = module, seconds
        self._one_at_a_time = threading.Lock()

    def answer(self, request: str) -> bytes:
        """Return what the program writes; raises :class:`subprocess.TimeoutExpired`."""
        with self._one_at_a_time:
            return subprocess.run(  # noqa: S603
                [sys.executable, "-m", self._module],
                input=request.encode(),
                capture_output=True,
                timeout=self.seconds,
                check=False,
                env=yielding_environment(),
            ).stdout
