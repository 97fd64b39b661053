"""The errors of the service: each carries its HTTP status and its stable code."""

from collections.abc import Mapping, Sequence
from typing import Any

from dealrec.errors import DealrecError, FieldError, InputError

__all__ = [
    "BadRequest",
    "Conflict",
    "InUse",
    "NotFound",
    "PayloadTooLarge",
    "PermissionDenied",
    "QuotaExceeded",
    "RangeNotSatisfiable",
    "RateLimited",
    "ScopeMissing",
    "ServiceError",
    "Unauthenticated",
    "status_of",
]


class ServiceError(DealrecError):
    """Root of the errors that know their HTTP status."""

    status = 500

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        title: str | None = None,
        errors: Sequence[FieldError] = (),
        **extra: Any,
    ) -> None:
        super().__init__(detail, code=code, title=title, errors=errors)
        self.extra = extra
        self.headers: Mapping[str, str] = {}
        """Of the answer."""

    def to_problem(self) -> dict[str, object]:
        """The problem with this error's further members (``limit``, ``dependents``, …)."""
        return {**super().to_problem(), **self.extra}


class BadRequest(ServiceError):
    """A header that cannot be read (400)."""

    status = 400
    code = "bad_request"
    title = "The request cannot be read"


class Unauthenticated(ServiceError):
    """No key, or one that is not valid (401)."""

    status = 401
    code = "unauthenticated"
    title = "A valid API key is needed"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.headers = {"www-authenticate": "Bearer"}


class PermissionDenied(ServiceError):
    """The caller may not do this (403)."""

    status = 403
    code = "forbidden"
    title = "This is not allowed"


class ScopeMissing(PermissionDenied):
    """The caller's key has not the scope that this needs (403); ``scope`` names it."""

    code = "scope_missing"
    title = "The key may not do this"

    def __init__(self, scope: str, given: Sequence[str]) -> None:
        super().__init__(
            f"This needs a key with the scope `{scope}`; yours has {', '.join(given)}. "
            f"`dealrec keys create NAME --scopes {scope}` makes one.",
            scope=scope,
        )


class QuotaExceeded(ServiceError):
    """The tenant would have more than it may: 403, or 429 where waiting helps.

    ``quota`` names it, with its ``limit`` and what is ``used`` already.
    """

    status = 403
    code = "quota_exceeded"
    title = "The tenant's quota is used up"

    def __init__(
        self, detail: str, *, quota: str, limit: float, used: float, waiting_helps: bool = False
    ) -> None:
        super().__init__(detail, quota=quota, limit=limit, used=used)
        if waiting_helps:
            self.status = 429


class RateLimited(ServiceError):
    """More requests than the rate limit allows (429); ``retry_after`` is in seconds."""

    status = 429
    code = "rate_limited"
    title = "Too many requests"

    def __init__(self, limit: str, retry_after: int) -> None:
        super().__init__(
            f"At most {limit} are answered. Try again in {retry_after} s.",
            limit=limit,
            retry_after=retry_after,
        )
        self.headers = {"retry-after": str(retry_after)}


class NotFound(ServiceError):
    """Nothing by that id for this tenant (404)."""

    status = 404
    code = "not_found"
    title = "There is no such thing"

    @classmethod
    def of(cls, kind: str, identifier: str) -> "NotFound":
        """``kind`` is the word for people (``data set``); ``identifier`` is shown shortened."""
        return cls(f"There is no {kind} {identifier[:60]!r}.")


class Conflict(ServiceError):
    """The present state does not allow it (409)."""

    status = 409
    code = "conflict"
    title = "The present state does not allow this"


class InUse(Conflict):
    """Others depend on it (409); ``dependents`` lists them."""

    code = "in_use"
    title = "Others depend on this"

    def __init__(self, detail: str, dependents: Sequence[dict[str, str]]) -> None:
        super().__init__(detail, dependents=list(dependents))


class PayloadTooLarge(ServiceError):
    """The body is above the limit (413); ``limit`` is in bytes."""

    status = 413
    code = "payload_too_large"
    title = "The body is too large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body may have at most {limit:,} bytes.", limit=limit)


class RangeNotSatisfiable(ServiceError):
    """The file has no such bytes (416)."""

    status = 416
    code = "range_not_satisfiable"
    title = "There are no such bytes"


def status_of(error: DealrecError) -> int:
    """The HTTP status of any error of this project: its own, or 422 for unusable input."""
    if isinstance(error, ServiceError):
        return error.status
    return 422 if isinstance(error, InputError) else 500
