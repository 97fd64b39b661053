"""Output of commands on a terminal: a bar for each stage, results, and errors."""

import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from functools import wraps
from typing import Any, ParamSpec, TypeVar

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

from dealrec.config.unread import OptionWarning
from dealrec.errors import DealrecError, InputError
from dealrec.extras import Extra, missing, require
from dealrec.progress import SILENT, Reporter, interactive_stages
from dealrec.tracking import TrackingWarning

P = ParamSpec("P")
R = TypeVar("R")
_HINTS = {
    "no_answer": " Use another server with `--server URL`, DEALREC_SERVER, or `server` in dealrec.toml.",
    "unauthenticated": " Give the key with `--key`, in DEALREC_KEY, or as `key` in dealrec.toml.",
    "invalid_url": " The address comes from `--server`, DEALREC_SERVER, or `server` in dealrec.toml.",
}
"""What helps on the command line with an error, by its code; a client in Python is helped otherwise."""
F = TypeVar("F", bound=Callable[..., None])
_EXAMPLES = "__examples__"
_LINE_SECONDS = 5.0
"""Where there is no terminal, a line is written at most this often."""


@contextmanager
def resumable_display(*, quiet: bool) -> Iterator[Callable[[str], Reporter]]:
    """As :func:`stage_display`; an interruption says that finished stages are kept."""
    try:
        with _plain_warnings(quiet=quiet), stage_display(quiet=quiet) as stages:
            yield stages
    except KeyboardInterrupt:
        tell("Stopped. Finished work is kept: run the same command again to continue from there.")
        raise


@contextmanager
def _plain_warnings(*, quiet: bool) -> Iterator[None]:
    """Print warnings of options as plain sentences, or not at all where the result has them."""

    def shown(message: Warning | str, *_place: object, **_file: object) -> None:
        tell(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if quiet else "always", OptionWarning)
        warnings.simplefilter("always", TrackingWarning)
        warnings.showwarning = shown
        yield


@contextmanager
def stage_display(*, quiet: bool = False) -> Iterator[Callable[[str], Reporter]]:
    """Give a function that makes the reporter of a stage from the stage's name.

    The reporters draw bars on a terminal, or write a line now and then where there is none.
    """
    if quiet:
        yield lambda _stage: SILENT
        return
    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
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


def shows_progress(function: Callable[P, R]) -> Callable[P, R]:
    """Draw bars while ``function`` runs, where somebody can see them and its ``stages`` are the default.

    On a terminal and in a notebook there are bars; in a script whose output goes to a file there is nothing.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if kwargs.get("stages", interactive_stages) is not interactive_stages:
            return function(*args, **kwargs)
        console = Console(stderr=True)
        seen = console.is_terminal or console.is_jupyter
        with stage_display(quiet=not seen) as stages:
            kwargs["stages"] = stages
            return function(*args, **kwargs)

    return run


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


class Panel(StrEnum):
    """A heading under which ``dealrec --help`` lists commands."""

    LOCAL = "On this machine, without a server"
    JOBS = "Jobs on a server"
    RESULTS = "Results on a server"
    CHOICES = "Selectors, layouts and models"
    OPERATION = "Running a server"


def examples(*lines: str) -> Callable[[F], F]:
    """Give a command the examples that its help shows. A test parses them all, and runs most."""

    def marked(function: F) -> F:
        setattr(function, _EXAMPLES, lines)
        return function

    return marked


def add_commands(
    application: typer.Typer,
    commands: Mapping[str, Callable[..., None]],
    needs: Extra | None = None,
    panel: Panel | None = None,
) -> None:
    """Add functions as commands, by their names, which need a part of the distribution to run."""
    for name, function in commands.items():
        lines = getattr(function, _EXAMPLES, ())
        application.command(
            name,
            rich_help_panel=help_panel(needs, panel),
            epilog="\n\n".join([f"[dim]$[/dim] {escape(line)}" for line in lines]) or None,
        )(_guarded(function, needs))


def help_panel(needs: Extra | None, panel: Panel | None = None) -> str | None:
    """The heading in ``--help``: ``panel``, or the part that is missing for the command to run."""
    if needs is None or not missing(needs):
        return panel
    return escape(f"Not installed here: {needs.pip}")


def _guarded(function: Callable[P, None], needs: Extra | None) -> Callable[P, None]:
    """Make a command turn a :class:`DealrecError`, or a refusal of the disk, into a message and its status.

    With ``--json`` the command prints the problem document that the HTTP service would answer.
    """

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            if needs is not None:
                require(needs)
            function(*args, **kwargs)
        except DealrecError as error:
            _tell_problem(error, json=bool(kwargs.get("json")))
            raise typer.Exit(error.exit_status) from None
        except OSError as error:
            if error.filename is None:
                raise
            detail = f"{error.filename}: {error.strerror}."
            problem = InputError(
                detail, code="file_not_usable", title="A file or folder cannot be used"
            )
            _tell_problem(problem, json=bool(kwargs.get("json")))
            raise typer.Exit(problem.exit_status) from None

    return guarded


def _tell_problem(error: DealrecError, *, json: bool) -> None:
    if json:
        print_json(error.to_problem())
        return
    tell(f"{error.title}: {error.detail}{_HINTS.get(error.code, '')}")
    for item in error.errors:
        if item.location in error.detail and item.message in error.detail:
            continue  # the whole of it has been said
        tell(f"  {item.location}: {item.message}")


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
