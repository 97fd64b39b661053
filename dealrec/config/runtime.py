"""Where and with how many threads the science runs: not part of what is computed."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Runtime:
    """``threads`` for torch (``None``: this process's cores), ``device`` ``auto``, ``cpu`` or ``cuda``."""

    threads: int | None = None
    device: str = "auto"

    @property
    def resolved_threads(self) -> int:
        """The thread count that torch is given."""
        if self.threads is not None:
            return self.threads
        return (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        )


def environment_runtime() -> Runtime:
    """From ``DEALREC_TORCH_THREADS`` and ``DEALREC_DEVICE``, the same settings that the workers read."""
    threads = os.environ.get("DEALREC_TORCH_THREADS")
    return Runtime(int(threads) if threads else None, os.environ.get("DEALREC_DEVICE", "auto"))


def yielding_environment() -> dict[str, str]:
    """This process's environment for one that loads torch: its idle threads sleep, not spin.

    OpenMP's threads spin between two parallel regions by default. Where another process wants the
    same cores (the API, a second worker, tests), each then waits for the other's spinning.
    """
    return {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
