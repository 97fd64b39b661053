"""The device and the threads that computations run with; they are no part of the method."""

import os
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Runtime:
    """The threads and the device of torch."""

    threads: int | None = None
    """The number of threads; ``None`` means one for each core of this process.

    No score depends on it. Sums over several threads depend on how many there are, and a training
    carries a difference in the last digit into all of its parameters. So the surrogate and the
    scores from it are computed on one thread, and where a language model makes scores, other threads
    measure other batches meanwhile.
    """
    device: str = "auto"
    """``auto``, ``cpu`` or ``cuda``."""

    def on_one_thread(self) -> "Runtime":
        """The same device, with results that do not depend on the number of threads."""
        return replace(self, threads=1)

    @property
    def resolved_threads(self) -> int:
        """The number of threads that torch gets."""
        if self.threads is not None:
            return self.threads
        return (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        )


def environment_runtime() -> Runtime:
    """Read ``DEALREC_TORCH_THREADS`` and ``DEALREC_DEVICE``, as the workers' settings do."""
    threads = os.environ.get("DEALREC_TORCH_THREADS")
    return Runtime(int(threads) if threads else None, os.environ.get("DEALREC_DEVICE", "auto"))


def yielding_environment() -> dict[str, str]:
    """Make the environment of a process that loads torch, whose idle threads shall sleep, not spin.

    By default OpenMP's threads spin between two parallel regions. If another process needs the same
    cores (the API, a second worker, tests), each waits for the other's spinning.
    """
    return {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
