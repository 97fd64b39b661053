"""Problem documents for stages that did not end by themselves, or ended in an exception."""

from typing import Any

from dealrec.errors import DealrecError


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


def died(how: str) -> dict[str, Any]:
    """``how`` is ``signal SIGKILL``, ``exit status 1``."""
    hint = " (most often for lack of memory)" if how.endswith("SIGKILL") else ""
    return StageDied(f"The process ended by {how}{hint}.").to_problem()


def raised(kind: str) -> dict[str, Any]:
    """The exception's text stays out: it may quote rows."""
    return StageRaised(f"The stage raised {kind}; the worker's log says where.").to_problem()


def too_expensive(what: str) -> dict[str, Any]:
    """``what`` is the limit that was hit."""
    return TooExpensive(f"Reading the files would take more than {what}.").to_problem()
