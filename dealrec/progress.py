"""Reports of the progress of long work, through which the work is also cancelled."""

from collections.abc import Callable
from typing import Any, Protocol

from dealrec.config.stages import StageName


class Reporter(Protocol):
    """Takes the reports of a stage while it works.

    Implementations draw a bar on a terminal, write to a pipe to the worker's parent process, or do
    nothing.
    """

    def progress(self, done: int, total: int, unit: str) -> None:
        """Report that ``done`` of ``total`` ``unit``s (``epoch``, ``sample``, …) are finished.

        It is called for every batch; implementations decide how often to show it.

        Raises:
            dealrec.errors.Cancelled: The work should stop.
        """

    def metric(self, name: str, value: float) -> None:
        """Report a figure to show beside the stage, e.g. ``valid_ndcg@10``; the latest value counts."""

    def event(self, kind: str, **data: Any) -> None:
        """Report something that happened once, e.g. ``early_stopping``; it never holds row contents."""


class Silent:
    """Ignores all reports."""

    def progress(self, done: int, total: int, unit: str) -> None:
        pass

    def metric(self, name: str, value: float) -> None:
        pass

    def event(self, kind: str, **data: Any) -> None:
        pass


SILENT = Silent()

StageReporters = Callable[[StageName], Reporter]
"""Makes the reporter of a stage when the stage begins."""


def silent_stages(_stage: StageName) -> Reporter:
    """Make a reporter that ignores all reports, for any stage."""
    return SILENT
