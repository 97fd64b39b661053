"""The scope that each request needs. Permissions are decided in this one place."""

from dealrec.app.kit.caller import Scope

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_HARMLESS = frozenset(
    {
        "/v1/estimates",
        "/v1/estimates/comparison",
        "/console/jobs/estimate",
        "/console/jobs/preset",
        "/console/jobs/prompt",
        "/console/comparisons/estimate",
        "/console/sign-out",
    }
)
"""Paths whose POSTs change nothing on the server."""
_HARMLESS_ENDING = "/prompt-preview"
_ADMINISTRATION = frozenset(
    {
        "/v1/keys",
        "/v1/audit",
        "/v1/server",
        "/v1/webhooks",
        "/metrics",
        "/console/keys",
        "/console/webhooks",
    }
)
_ADMINISTRATION_BELOW = ("/v1/keys/", "/v1/webhooks/", "/console/keys/", "/console/webhooks/")
_CHANGED_BY_ADMINISTRATORS = ("/v1/models", "/console/models")
"""Everybody may look at these and at what lies below."""


def needed_scope(method: str, path: str) -> Scope:
    """The scope for a request, judged by its method and path alone: no route can forget to ask."""
    if path in _ADMINISTRATION or path.startswith(_ADMINISTRATION_BELOW):
        return Scope.ADMIN
    if method not in _READING and path.startswith(_CHANGED_BY_ADMINISTRATORS):
        return Scope.ADMIN
    harmless = path in _HARMLESS or path.endswith(_HARMLESS_ENDING)
    return Scope.READ if method in _READING or harmless else Scope.WRITE
