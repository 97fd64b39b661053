"""The caller of a request and the scopes of its key."""

from dataclasses import dataclass
from enum import StrEnum

from dealrec.app.kit.errors import ScopeMissing


class Scope(StrEnum):
    """A permission of a key. No scope includes another."""

    READ = "read"
    """Read and download everything that belongs to the tenant."""
    WRITE = "write"
    """Upload data, start and cancel jobs, delete."""
    ADMIN = "admin"
    """See the tenant's keys, webhooks and audit trail, and the server's state and metrics; add and remove its
    models."""


ALL_SCOPES = frozenset(Scope)


@dataclass(frozen=True)
class Caller:
    """The tenant and the key of a request, and what the key permits."""

    tenant_id: str
    key_id: str | None
    """``None`` while no keys exist: the caller is then somebody on this machine."""
    scopes: frozenset[Scope]

    def require(self, scope: Scope) -> None:
        """Raise :class:`ScopeMissing` if the caller lacks the scope."""
        if scope not in self.scopes:
            raise ScopeMissing(scope.value, sorted(self.scopes))
