"""What a key may do, and what a request needs: the one place where permissions are decided."""

from enum import StrEnum

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_HARMLESS = frozenset(
    {
        "/v1/estimates",
        "/v1/estimates/comparison",
        "/console/jobs/estimate",
        "/console/comparisons/estimate",
        "/console/sign-out",
    }
)
"""POSTs that change nothing on the server."""
_ADMINISTRATION = frozenset({"/v1/keys", "/v1/audit", "/metrics", "/console/keys"})
_ADMINISTRATION_BELOW = ("/v1/keys/", "/console/keys/")


class Scope(StrEnum):
    """None of them includes another."""

    READ = "read"
    """Look at and download everything of the tenant."""
    WRITE = "write"
    """Upload, start jobs, cancel, delete."""
    ADMIN = "admin"
    """The tenant's keys, its audit trail, and the server's metrics."""


ALL_SCOPES = frozenset(Scope)


def needed_scope(method: str, path: str) -> Scope:
    """Of a request, from its method and path alone: no route can forget to ask."""
    if path in _ADMINISTRATION or path.startswith(_ADMINISTRATION_BELOW):
        return Scope.ADMIN
    return Scope.READ if method in _READING or path in _HARMLESS else Scope.WRITE
