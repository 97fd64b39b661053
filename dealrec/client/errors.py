"""The one error of the client: a problem document of the service, or a missing answer."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Self

import httpx

from dealrec.errors import DealrecError, FieldError

_TRANSIENT = frozenset({429, 502, 503, 504})
_TRANSIENT_CODES = frozenset({"no_answer", "idempotency_key_in_use", "upload_changed"})
_SHOWN = 200


class ApiError(DealrecError):
    """An error of the service, with the contents of its problem document (RFC 9457).

    ``code``, ``title``, ``detail`` and ``errors`` are those of the document. A failed job and a
    rejected data set raise it too, with the problem document that is stored with them.
    """

    title = "The service reported an error"
    status: int | None = None
    """The HTTP status; ``None`` when no answer came, or a job or data set failed later."""
    problem: Mapping[str, Any]
    """The whole problem document, with the members that are particular to its code."""
    retry_after: float | None = None
    """The wait that the service asked for, in seconds."""

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        title: str | None = None,
        errors: Sequence[FieldError] = (),
        status: int | None = None,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail, code=code, title=title, errors=errors)
        self.status = status
        self.problem = super().to_problem() if problem is None else dict(problem)

    @classmethod
    def of(cls, problem: Mapping[str, Any], status: int | None = None) -> Self:
        """Make the error of a problem document."""
        errors = [
            FieldError(str(item.get("location", "")), str(item.get("message", "")))
            for item in problem.get("errors") or ()
        ]
        return cls(
            str(problem.get("detail") or problem.get("title") or "No reason was given."),
            code=problem.get("code"),
            title=problem.get("title"),
            errors=errors,
            status=status,
            problem=problem,
        )

    @classmethod
    def of_answer(cls, response: httpx.Response) -> Self:
        """Make the error of an unsuccessful answer, which may come from a proxy."""
        status = response.status_code
        try:
            problem = response.json()
        except ValueError:
            problem = None
        if isinstance(problem, dict) and "code" in problem:
            error = cls.of(problem, status)
        else:
            phrase = HTTPStatus(status).phrase if status in list(HTTPStatus) else "unknown status"
            body = response.text.strip()[:_SHOWN]
            error = cls(
                f"{response.request.url} answered {status} {phrase}: {body or 'empty body'}",
                code=f"http_{status}",
                status=status,
            )
        error.retry_after = _seconds(response.headers.get("retry-after"))
        return error

    @classmethod
    def no_answer(cls, error: httpx.TransportError, url: str) -> Self:
        """Make the error of a failed connection."""
        return cls(
            (
                f"{url} did not answer ({type(error).__name__}: {error}). Check that the server is running "
                "there."
            ),
            code="no_answer",
            title="The server cannot be reached",
        )

    @classmethod
    def cannot_ask(cls, error: Exception) -> Self:
        """Make the error of a request that cannot be sent."""
        return cls(str(error), code="cannot_ask", title="The request cannot be sent")

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed when it is repeated."""
        return self.status in _TRANSIENT or self.code in _TRANSIENT_CODES

    @property
    def exit_status(self) -> int:
        """2 when the request was at fault; 1 when the service, the connection or the job was."""
        refused = self.status is not None and 400 <= self.status < 500
        return 2 if refused and not self.transient else 1

    def to_problem(self) -> dict[str, Any]:
        """The problem document as it was received."""
        return dict(self.problem)

    def __reduce__(self) -> Any:
        return (type(self).of, (self.problem, self.status))


def _seconds(header: str | None) -> float | None:
    """Read ``Retry-After`` in seconds; the service does not send its other form, a date."""
    return float(header) if header is not None and header.isascii() and header.isdigit() else None
