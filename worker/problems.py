"""Problem documents for stages that did not end by themselves, or ended in an exception."""

from typing import Any

from dealrec.errors import DealrecError


class StageKilled(DealrecError):
    """The stage's process was killed from outside."""

    code = "stage_killed"
    title = "The stage's process was killed"


class OutOfMemory(DealrecError):
    """The stage's process asked for more memory than it may have, or than there is."""

    code = "stage_out_of_memory"
    title = "The stage ran out of memory"


class StageDied(DealrecError):
    """The stage's process ended without a word."""

    code = "stage_died"
    title = "The stage's process died"


class StageRaised(DealrecError):
    """The stage raised an exception that is a bug, not bad input."""

    code = "stage_raised"
    title = "The stage failed"


class TooExpensive(DealrecError):
    """Reading the files takes more memory or time than is allowed."""

    code = "file_too_expensive"
    title = "The files take too much memory or time to read"


FOR_MEMORY = frozenset({StageKilled.code, OutOfMemory.code})
"""Codes after which a stage is tried in smaller pieces."""


def killed() -> dict[str, Any]:
    """By SIGKILL, and not by us."""
    detail = "The process was killed (SIGKILL), most often because the machine had no memory left."
    return StageKilled(detail).to_problem()


def out_of_memory(limit_bytes: int | None) -> dict[str, Any]:
    """``limit_bytes``: the setting that it went beyond; ``None`` where the system refused it more."""
    if limit_bytes is None:
        return OutOfMemory("The system gave the process no more memory.").to_problem()
    limit = f"{limit_bytes / 2**20:,.0f} MiB"
    return OutOfMemory(f"The process needed more than the {limit} that it may use.").to_problem()


def died(how: str) -> dict[str, Any]:
    """``how`` is ``signal SIGSEGV``, ``exit status 1``."""
    return StageDied(f"The process ended by {how}.").to_problem()


def raised(kind: str) -> dict[str, Any]:
    """The exception's text stays out: it may quote rows."""
    return StageRaised(f"The stage raised {kind}; the worker's log says where.").to_problem()


def too_expensive(what: str) -> dict[str, Any]:
    """``what`` is the limit that was hit."""
    return TooExpensive(f"Reading the files would take more than {what}.").to_problem()
