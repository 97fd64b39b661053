"""The problems of stages that did not end by themselves, or that ended in an exception."""

from dealrec.errors import DealrecError


class StageKilled(DealrecError):
    """The stage's process was killed (SIGKILL), and not by its worker."""

    code = "stage_killed"
    title = "The stage's process was killed"

    def __init__(self) -> None:
        super().__init__(
            "The process was killed (SIGKILL), most likely because the machine ran out of memory."
        )


class OutOfMemory(DealrecError):
    """The stage's process asked for more memory than it may have, or than there is."""

    code = "stage_out_of_memory"
    title = "The stage ran out of memory"

    def __init__(self, limit_bytes: int | None) -> None:
        """``limit_bytes`` is the setting that was exceeded; ``None`` when the system refused."""
        if limit_bytes is None:
            super().__init__("The operating system refused to give the process more memory.")
        else:
            limit = f"{limit_bytes / 2**20:,.0f} MiB"
            super().__init__(f"The process needed more memory than the {limit} that it may use.")


class StageDied(DealrecError):
    """The stage's process ended without a message."""

    code = "stage_died"
    title = "The stage's process died"

    def __init__(self, how: str) -> None:
        """``how`` is ``signal SIGSEGV``, ``exit status 1``."""
        super().__init__(f"The process ended with {how}.")


class StageRaised(DealrecError):
    """The stage raised an exception that is a bug, not bad input."""

    code = "stage_raised"
    title = "The stage failed"

    def __init__(self, kind: str) -> None:
        """``kind`` is the exception's type; its text may quote rows, so it stays out."""
        super().__init__(f"The stage raised {kind}. The worker's log says where.")


class TooExpensive(DealrecError):
    """Reading the files takes more memory or time than is allowed."""

    code = "file_too_expensive"
    title = "Reading the files takes too much memory or time"

    def __init__(self, limit: str) -> None:
        super().__init__(f"Reading the files would take more than {limit}.")


class WorkerLost(DealrecError):
    """Workers vanished while they ran the stage, again and again."""

    code = "worker_lost"
    title = "The stage lost its worker too often"

    def __init__(self, times: int) -> None:
        super().__init__(f"{times} workers in a row disappeared while they ran this stage.")


FOR_MEMORY = (StageKilled, OutOfMemory)
"""The problems after which a stage is tried in smaller pieces."""
