"""How long work reports where it is, and how it learns that it should stop."""

from collections.abc import Callable
from typing import Any, Protocol

from dealrec.config.stages import StageName


class Reporter(Protocol):
    """What a stage talks to while it works.

    Implementations: a terminal bar, a pipe to the worker's parent process, or nothing at all.
    """

    def progress(self, done: int, total: int, unit: str) -> None:
        """``done`` of ``total`` ``unit``s (``epoch``, ``sample``, ``iteration``) are finished.

        Called often (every batch): implementations decide how often to show it. Raises
        :class:`dealrec.errors.Cancelled` where the work should stop.
        """

    def metric(self, name: str, value: float) -> None:
        """A figure worth showing beside the stage, e.g. ``valid_ndcg@10``; the last one wins."""

    def event(self, kind: str, **data: Any) -> None:
        """Something that happened once, e.g. ``early_stopping``; never carries row contents."""


class Silent:
    """Reports to nobody."""

    def progress(self, done: int, total: int, unit: str) -> None:
        pass

    def metric(self, name: str, value: float) -> None:
        pass

    def event(self, kind: str, **data: Any) -> None:
        pass


SILENT = Silent()

StageReporters = Callable[[StageName], Reporter]
"""Gives the reporter of a stage when that stage begins."""


def silent_stages(_stage: StageName) -> Reporter:
    """Nobody is told of any stage."""
    return SILENT
