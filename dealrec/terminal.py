"""Output of commands on a terminal: a bar for each stage, results, and errors."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from dealrec.errors import DealrecError
from dealrec.extras import Extra, missing, require
from dealrec.progress import SILENT, Reporter

P = ParamSpec("P")
_LINE_SECONDS = 5.0
"""Where there is no terminal, a line is written at most this often."""


@contextmanager
def resumable_display(*, quiet: bool) -> Iterator[Callable[[str], Reporter]]:
    """As :func:`stage_display`; an interruption says that finished stages are kept."""
    try:
        with stage_display(quiet=quiet) as stages:
            yield stages
    except KeyboardInterrupt:
        tell("Stopped. What is finished is kept: the same command goes on from there.")
        raise


@contextmanager
def stage_display(*, quiet: bool = False) -> Iterator[Callable[[str], Reporter]]:
    """Give a function that makes the reporter of a stage from the stage's name.

    The reporters draw bars on a terminal, or write a line now and then where there is none.
    """
    if quiet:
        yield lambda _stage: SILENT
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _LineReporter
        return
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[metrics]}"),
    )
    with Progress(*columns, console=console) as bars:
        yield lambda stage: _BarReporter(bars, stage)


class _BarReporter:
    def __init__(self, bars: Progress, stage: str) -> None:
        self._bars = bars
        self._task: TaskID = bars.add_task(str(stage), total=None, unit="", metrics="")
        self._metrics: dict[str, float] = {}

    def progress(self, done: int, total: int, unit: str) -> None:
        self._bars.update(self._task, completed=done, total=total, unit=f"{unit}s")

    def metric(self, name: str, value: float) -> None:
        self._metrics[name] = value
        shown = "  ".join(f"{key} {number:.4g}" for key, number in self._metrics.items())
        self._bars.update(self._task, metrics=shown[:80])

    def point(self, name: str, step: int, value: float) -> None:
        pass

    def event(self, kind: str, **data: Any) -> None:
        details = " ".join(f"{key}={value}" for key, value in data.items())
        self._bars.console.print(f"[dim]{kind} {details}")


class _LineReporter:
    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._spoken = 0.0
        self._begun = time.monotonic()
        tell(f"{stage}: started")

    def progress(self, done: int, total: int, unit: str) -> None:
        now = time.monotonic()
        if now - self._spoken < _LINE_SECONDS and done < total:
            return
        if done >= total and self._spoken < 0:
            return
        self._spoken = -1.0 if done >= total else now
        tell(f"{self._stage}: {done:,} of {total:,} {unit}s after {now - self._begun:.0f} s")

    def metric(self, name: str, value: float) -> None:
        pass

    def point(self, name: str, step: int, value: float) -> None:
        pass

    def event(self, kind: str, **data: Any) -> None:
        details = " ".join(f"{key}={value}" for key, value in data.items())
        tell(f"{self._stage}: {kind} {details}".rstrip())


def tell(line: str) -> None:
    """Write a line for people to standard error."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def add_commands(
    application: typer.Typer,
    commands: Mapping[str, Callable[..., None]],
    needs: Extra | None = None,
) -> None:
    """Add functions as commands, by their names, which need a part of the distribution to run."""
    for name, function in commands.items():
        application.command(name, rich_help_panel=help_panel(needs))(_guarded(function, needs))


def help_panel(needs: Extra | None) -> str | None:
    """The heading in ``--help`` of what needs a missing part; ``None`` for the usual heading."""
    if needs is None or not missing(needs):
        return None
    return escape(f"Not installed here: {needs.pip}")


def _guarded(function: Callable[P, None], needs: Extra | None) -> Callable[P, None]:
    """Make a command turn a :class:`DealrecError` into a message and its exit status.

    With ``--json`` the command prints the problem document that the HTTP service would answer.
    """

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            if needs is not None:
                require(needs)
            function(*args, **kwargs)
        except DealrecError as error:
            if kwargs.get("json"):
                print_json(error.to_problem())
            else:
                tell(f"{error.title}: {error.detail}")
                for item in error.errors:
                    if f"{item.location}: {item.message}" == error.detail:
                        continue  # the whole of it has been said
                    tell(f"  {item.location}: {item.message}")
            raise typer.Exit(error.exit_status) from None

    return guarded


def print_json(value: Any) -> None:
    """Write a JSON document to standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_json_line(value: Any) -> None:
    """Write one of many JSON documents as a line to standard output, without delay."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def say(line: str, *, flush: bool = False) -> None:
    """Write a line for people to standard output."""
    sys.stdout.write(line + "\n")
    if flush:
        sys.stdout.flush()
