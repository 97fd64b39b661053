"""Errors that a person can act on: a stable code, a sentence, and the place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FieldError:
    """One fault in an input.

    ``location`` is a dotted path (``config.selection.strata``) or a place in a file
    (``interactions.csv:17:timestamp``).
    """

    location: str
    message: str


class DealrecError(Exception):
    """The base of every error that the caller gets to see.

    ``code`` is stable and machine-readable. The HTTP service answers it in its problem documents,
    and the command line prints ``title: detail``.
    """

    code = "internal_error"
    title = "Something went wrong"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        title: str | None = None,
        errors: Sequence[FieldError] = (),
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = dict(members or {})
        """Further members of the problem document."""
        self.errors = tuple(errors)
        if code is not None:
            self.code = code
        if title is not None:
            self.title = title

    @property
    def exit_status(self) -> int:
        """The exit status of a command: 2 for faults that the caller can correct, 1 for our own."""
        return 1 if self.code == "internal_error" else 2

    def to_problem(self) -> dict[str, Any]:
        """Make an RFC 9457 problem document, without ``status`` and ``instance``."""
        problem: dict[str, Any] = {
            "type": f"urn:dealrec:problem:{self.code}",
            "title": self.title,
            "detail": self.detail,
            "code": self.code,
        }
        if self.errors:
            problem["errors"] = [
                {"location": e.location, "message": e.message} for e in self.errors
            ]
        return problem | self.members

    def __reduce__(self) -> Any:
        # Pickling keeps code, title and errors when the error crosses a process boundary.
        return (
            _rebuild,
            (type(self), self.detail, self.code, self.title, self.errors, self.members),
        )


def _rebuild(
    kind: type[DealrecError],
    detail: str,
    code: str,
    title: str,
    errors: Sequence[FieldError],
    members: Mapping[str, Any],
) -> DealrecError:
    return kind(detail, code=code, title=title, errors=errors, members=members)


class InputError(DealrecError):
    """The caller's input cannot be used as it is (HTTP 422, exit status 2)."""

    code = "invalid_input"
    title = "The input cannot be used"


class Cancelled(DealrecError):
    """The work was asked to stop; :meth:`dealrec.progress.Reporter.progress` raises it."""

    code = "cancelled"
    title = "The work was cancelled"
