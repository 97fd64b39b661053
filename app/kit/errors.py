"""The errors of the service. Each carries its HTTP status and its stable code."""

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
    """The base of the errors that know their HTTP status."""

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
        """Headers of the answer."""

    def to_problem(self) -> dict[str, object]:
        """Make the problem document with this error's further members (``limit``, ``dependents``, …)."""
        return {**super().to_problem(), **self.extra}


class BadRequest(ServiceError):
    """A header cannot be read (400)."""

    status = 400
    code = "bad_request"
    title = "The request cannot be read"


class Unauthenticated(ServiceError):
    """The key is missing or not valid (401)."""

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
    """The caller's key lacks the scope that the request needs (403); ``scope`` names it."""

    code = "scope_missing"
    title = "The key may not do this"

    def __init__(self, scope: str, given: Sequence[str]) -> None:
        super().__init__(
            f"This needs a key with the scope `{scope}`, but yours has {', '.join(given)}. `dealrec "
            f"keys create NAME --scopes {scope}` creates one.",
            scope=scope,
        )


class QuotaExceeded(ServiceError):
    """The tenant would exceed a quota (403, or 429 if waiting helps).

    ``quota`` names the quota, ``limit`` its size, and ``used`` the part that is used already.
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
    """The caller exceeds its rate limit (429); ``retry_after`` is in seconds."""

    status = 429
    code = "rate_limited"
    title = "Too many requests"

    def __init__(self, limit: str, retry_after: int) -> None:
        super().__init__(
            f"You have sent more requests than allowed ({limit}). Try again in {retry_after} s.",
            limit=limit,
            retry_after=retry_after,
        )
        self.headers = {"retry-after": str(retry_after)}


class NotFound(ServiceError):
    """The tenant has no object with this id (404)."""

    status = 404
    code = "not_found"
    title = "Not found"

    @classmethod
    def of(cls, kind: str, identifier: str) -> "NotFound":
        """Name the object by ``kind``, a word for people (``data set``), and a shortened ``identifier``."""
        return cls(f"There is no {kind} {identifier[:60]!r}.")


class Conflict(ServiceError):
    """The current state does not allow the request (409)."""

    status = 409
    code = "conflict"
    title = "This is not possible in the current state"


class InUse(Conflict):
    """Other objects depend on this one (409); ``dependents`` lists them."""

    code = "in_use"
    title = "Something else depends on this"

    def __init__(self, detail: str, dependents: Sequence[dict[str, str]]) -> None:
        super().__init__(detail, dependents=list(dependents))


class PayloadTooLarge(ServiceError):
    """The body is larger than ``limit`` bytes (413)."""

    status = 413
    code = "payload_too_large"
    title = "The body is too large"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The body of the request is larger than the {limit:,} bytes allowed.", limit=limit
        )


class RangeNotSatisfiable(ServiceError):
    """The file does not have the requested bytes (416)."""

    status = 416
    code = "range_not_satisfiable"
    title = "The file does not have the requested range"


def status_of(error: DealrecError) -> int:
    """Return the HTTP status of any error of this project; unusable input has 422."""
    if isinstance(error, ServiceError):
        return error.status
    return 422 if isinstance(error, InputError) else 500
