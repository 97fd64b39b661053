"""The one error of the client: the service's problem document, or that no answer came."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Self

import httpx

from dealrec.errors import DealrecError, FieldError

_TRANSIENT = frozenset({429, 502, 503, 504})
_TRANSIENT_CODES = frozenset({"no_answer", "idempotency_key_in_use", "upload_changed"})
_SHOWN = 200


class ApiError(DealrecError):
    """What the service refused, or could not do, in its own words (RFC 9457).

    ``code``, ``title``, ``detail`` and ``errors`` are the problem's. A job that failed and a data
    set that was rejected raise it too, with the problem that they keep.
    """

    title = "The service did not do it"
    status: int | None = None
    """Of the answer; ``None`` where none came, and for a job or data set that failed later."""
    problem: Mapping[str, Any]
    """The whole problem document, with the members that belong to its code."""
    retry_after: float | None = None
    """Seconds that the service asked to wait for."""

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
        """From a problem document."""
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
        """From an answer that is no success; what is between here and the service may have made it."""
        status = response.status_code
        try:
            problem = response.json()
        except ValueError:
            problem = None
        if isinstance(problem, dict) and "code" in problem:
            error = cls.of(problem, status)
        else:
            phrase = HTTPStatus(status).phrase if status in list(HTTPStatus) else "no known status"
            said = response.text.strip()[:_SHOWN]
            error = cls(
                f"{response.request.url} answered {status} {phrase}: {said or 'nothing more'}",
                code=f"http_{status}",
                status=status,
            )
        error.retry_after = _seconds(response.headers.get("retry-after"))
        return error

    @classmethod
    def no_answer(cls, error: httpx.TransportError, url: str) -> Self:
        """From a connection that failed."""
        return cls(
            f"{url} gave no answer ({type(error).__name__}: {error}). Does the service run there?",
            code="no_answer",
            title="The service cannot be reached",
        )

    @classmethod
    def cannot_ask(cls, error: Exception) -> Self:
        """From a request that can never be sent."""
        return cls(str(error), code="cannot_ask", title="The request cannot be sent")

    @property
    def transient(self) -> bool:
        """Whether the same request may well succeed a moment later."""
        return self.status in _TRANSIENT or self.code in _TRANSIENT_CODES

    @property
    def exit_status(self) -> int:
        """2 where the request was at fault, 1 where the service, the way to it, or the job was."""
        refused = self.status is not None and 400 <= self.status < 500
        return 2 if refused and not self.transient else 1

    def to_problem(self) -> dict[str, Any]:
        """The problem document as it came."""
        return dict(self.problem)

    def __reduce__(self) -> Any:
        return (type(self).of, (self.problem, self.status))


def _seconds(header: str | None) -> float | None:
    """``Retry-After`` in seconds; its other form, a date, is not used by this service."""
    return float(header) if header is not None and header.isascii() and header.isdigit() else None
