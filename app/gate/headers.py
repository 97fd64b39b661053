"""Security headers of every answer, so that browsers run no tenant's data as a page or script."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
_DATA = "default-src 'none'; frame-ancestors 'none'"
_REPORT = f"{_DATA}; style-src 'unsafe-inline'; img-src data:; sandbox"
"""Reports bring inline styles and images; titles in them come from uploads."""
_DOCS = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
)
"""The policy for FastAPI's page of Swagger UI."""


class SecureHeaders:
    """The outermost ASGI middleware; it keeps headers that an answer already has."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message.get("headers", [])))
                for name, value in _ALWAYS.items():
                    headers.setdefault(name, value)
                kind = headers.get("content-type", "")
                headers.setdefault("content-security-policy", _policy(scope["path"], kind))
                message = {**message, "headers": headers.raw}
            await send(message)

        await self.app(scope, receive, secured)


def _policy(path: str, kind: str) -> str:
    if path == "/docs":
        return _DOCS
    return _REPORT if kind.startswith("text/html") else _DATA
