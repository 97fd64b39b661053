"""Progress on standard error while data is sent or fetched, or a job is waited for."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from dealrec.client.records import Progress as StageProgress
from dealrec.client.records import Stage
from dealrec.progress import Reporter
from dealrec.terminal import stage_display

_UNTOUCHED = frozenset({"waiting", "queued", "skipped"})
_SHOWN_METRICS = ("@", "loss")


@contextmanager
def transfer_display(
    show: bool, description: str, total: int | None
) -> Iterator[Callable[[int], None]]:
    """Show a bar of bytes; call what it gives with the number of bytes since the last call.

    Nothing is drawn where standard error is not a terminal.
    """
    console = Console(stderr=True)
    if not (show and console.is_terminal):
        yield lambda _count: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(description, total=total)
        yield lambda count: bars.advance(task, count)


@contextmanager
def job_display(show: bool) -> Iterator[Callable[[Sequence[Stage]], None]]:
    """Show a bar for each stage of a job; call what it gives with the stages as they are now."""
    with stage_display(quiet=not show) as stages:
        reporters: dict[str, Reporter] = {}
        shown: dict[str, StageProgress] = {}

        def show_stages(now: Sequence[Stage]) -> None:
            for stage in now:
                if stage.state in _UNTOUCHED:
                    continue
                if stage.name not in reporters:
                    reporters[stage.name] = stages(stage.name)
                reporter = reporters[stage.name]
                for name, value in stage.metrics.items():
                    if any(mark in name for mark in _SHOWN_METRICS):
                        reporter.metric(name, value)
                progress = stage.progress
                if progress is not None and progress.total and progress != shown.get(stage.name):
                    shown[stage.name] = progress
                    reporter.progress(progress.done, progress.total, progress.unit)

        yield show_stages
