"""Authentication of the console: the cookie's key identifies the caller, and problems become pages.

The cookie holds the API key itself (``HttpOnly``, ``SameSite=Strict``). A revoked key is therefore
refused at once, and no sessions need to be stored.
"""

import hmac
import json
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dealrec.app.console.pages import render_problem
from dealrec.app.kit.problems import MEDIA_TYPE

KEY_COOKIE = "dealrec_key"
CSRF_COOKIE = "dealrec_csrf"
CSRF_HEADER = "x-csrf-token"
SIGN_IN = "/console/sign-in"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_SECURITY = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


def is_console(path: str) -> bool:
    """Whether the path is that of a page or a part of one."""
    return path == "/" or path.startswith("/console/")


def same_token(cookies: Mapping[str, str], token: str | None) -> bool:
    """Whether ``token`` equals the one in the caller's cookie, which other sites cannot read."""
    expected = cookies.get(CSRF_COOKIE, "")
    return bool(expected) and hmac.compare_digest(expected.encode(), (token or "").encode())


class Authentication:
    """ASGI middleware around the gate, which still checks every request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope = _with_key(scope)
        if is_console(scope["path"]):
            send = _PageSender(scope, receive, send, _SECURITY)
        elif _is_visit(scope):
            send = _PageSender(scope, receive, send, {})
        await self.app(scope, receive, send)


def _is_visit(scope: Scope) -> bool:
    """Whether a person's browser asks for a page, perhaps at an address that does not exist."""
    accepted = Headers(scope=scope).get("accept", "")
    return "text/html" in accepted and not scope["path"].startswith("/v1/")


def _with_key(scope: Scope) -> Scope:
    """Add the cookie's key to the request, unless it has one, or another site may have sent it.

    Pages check the token of their forms themselves. The API's routes that change something need the
    token in a header.
    """
    headers, path = Headers(scope=scope), scope["path"]
    cookies = cookie_parser(headers.get("cookie", ""))
    key = cookies.get(KEY_COOKIE, "")
    if not key or not key.isascii() or "authorization" in headers:
        return scope
    harmless = scope["method"] in _SAFE_METHODS or same_token(cookies, headers.get(CSRF_HEADER))
    if is_console(path) or (path.startswith("/v1/") and harmless):
        return {
            **scope,
            "headers": [*scope["headers"], (b"authorization", f"Bearer {key}".encode())],
        }
    return scope


class _PageSender:
    """Adds ``headers``, and turns a problem document into a page."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str]
    ) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._headers = headers
        self._part = "hx-request" in Headers(scope=scope)
        self._problem: bytearray | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message["headers"])
            if self._part and message["status"] == HTTPStatus.SEE_OTHER:
                # HTMX would swap the page of a plain redirect into the form that it sent.
                message["status"] = HTTPStatus.OK
                headers["hx-redirect"] = headers["location"]
                del headers["location"]
            if headers.get("content-type", "").startswith(MEDIA_TYPE):
                self._problem = bytearray()
                return
            for name, value in self._headers.items():
                headers.setdefault(name, value)  # a page in a frame has its own, stricter policy
            message["headers"] = headers.raw
        if self._problem is None:
            await self._send(message)
            return
        self._problem += message.get("body", b"")
        if not message.get("more_body", False):
            answer = self._page(json.loads(self._problem))
            answer.headers.update(_SECURITY)
            await answer(self._scope, self._receive, self._send)

    def _page(self, problem: dict[str, object]) -> Response:
        request = Request(self._scope)
        sent = self._part and request.method not in _SAFE_METHODS
        if (
            problem["status"] != HTTPStatus.UNAUTHORIZED or sent
        ):  # a form that was sent stays as it is
            return render_problem(request, problem)
        target = f"{SIGN_IN}?next={quote(request.url.path)}"
        if self._part:
            return Response(headers={"hx-redirect": target})
        return RedirectResponse(target, status_code=303)
