"""Reports of the progress of long work, through which the work is also cancelled."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

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

    def point(self, name: str, step: int, value: float) -> None:
        """Report a point of a curve, e.g. ``train_loss`` after ``step`` steps or epochs.

        Steps rise. A point replaces those of the same curve at its step and after it, which a run that
        goes on from a checkpoint reports anew.
        """

    def event(self, kind: str, **data: Any) -> None:
        """Report something that happened once, e.g. ``early_stopping``; it never holds row contents."""


class Silent:
    """Ignores all reports."""

    def progress(self, done: int, total: int, unit: str) -> None:
        pass

    def metric(self, name: str, value: float) -> None:
        pass

    def point(self, name: str, step: int, value: float) -> None:
        pass

    def event(self, kind: str, **data: Any) -> None:
        pass


SILENT = Silent()

CurvePoints = dict[str, list[tuple[int, float]]]
"""The points of curves by name, each a step and a value, in the order of the steps."""

MOST_POINTS = 500


class _Point(NamedTuple):
    number: int
    step: int
    value: float


class Curves:
    """Collects the points that a reporter gets.

    A curve of more than :data:`MOST_POINTS` points is thinned: every second, every fourth … point is kept,
    and the last.
    """

    def __init__(self) -> None:
        self._curves: dict[str, list[_Point]] = {}
        self._strides: dict[str, int] = {}

    def add(self, name: str, step: int, value: float) -> None:
        """As :meth:`Reporter.point`."""
        curve, stride = self._curves.setdefault(name, []), self._strides.setdefault(name, 1)
        while curve and curve[-1].step >= step:
            curve.pop()
        number = curve[-1].number + 1 if curve else 0
        if curve and curve[-1].number % stride:
            curve.pop()  # it was kept only because it was the last
        curve.append(_Point(number, step, float(value)))
        if len(curve) > MOST_POINTS:
            self._strides[name] = stride = 2 * stride
            curve[:] = [p for p in curve if p.number % stride == 0 or p is curve[-1]]

    def points(self) -> CurvePoints:
        """Return what is kept."""
        return {
            name: [(point.step, point.value) for point in curve]
            for name, curve in self._curves.items()
        }


StageReporters = Callable[[StageName], Reporter]
"""Makes the reporter of a stage when the stage begins."""


def interactive_stages(_stage: StageName) -> Reporter:
    """The default of the library's functions, which then draw bars on a terminal and in a notebook."""
    return SILENT


def silent_stages(_stage: StageName) -> Reporter:
    """Make a reporter that ignores all reports, for any stage."""
    return SILENT
