"""What a person sees while something is sent, fetched or waited for; on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from dealrec.client.records import Progress as StageProgress
from dealrec.terminal import Reporter, stage_display

if TYPE_CHECKING:
    from dealrec.client.job import Job

_UNTOUCHED = frozenset({"waiting", "queued"})
_SHOWN_METRICS = ("@", "loss")


@contextmanager
def transfer_display(
    show: bool, description: str, total: int | None
) -> Iterator[Callable[[int], None]]:
    """A bar of bytes; give it how many more are done. Nothing is drawn where no terminal is."""
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
def job_display(show: bool) -> Iterator[Callable[["Job[Any]"], None]]:
    """A bar for each stage of a job; give it the job each time that it was asked for."""
    with stage_display(quiet=not show) as stages:
        reporters: dict[str, Reporter] = {}
        said: dict[str, StageProgress] = {}

        def shown(job: "Job[Any]") -> None:
            for stage in job.stages:
                if stage.state in _UNTOUCHED:
                    continue
                if stage.name not in reporters:
                    reporters[stage.name] = stages(stage.name)
                reporter = reporters[stage.name]
                for name, value in stage.metrics.items():
                    if any(mark in name for mark in _SHOWN_METRICS):
                        reporter.metric(name, value)
                progress = stage.progress
                if progress is not None and progress.total and progress != said.get(stage.name):
                    said[stage.name] = progress
                    reporter.progress(progress.done, progress.total, progress.unit)

        yield shown
