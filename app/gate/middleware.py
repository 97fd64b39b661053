"""The gate before every route checks key, scope, size and rate before a body is read."""

import ipaddress
import re
import time
from http import HTTPStatus
from urllib.parse import urlsplit

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dealrec.app.gate.permissions import needed_scope
from dealrec.app.gate.rates import Rates
from dealrec.app.keys.service import authenticate
from dealrec.app.kit.caller import Caller
from dealrec.app.kit.errors import PayloadTooLarge, PermissionDenied, Unauthenticated
from dealrec.app.kit.ids import new_id
from dealrec.app.kit.problems import error_response, internal_error
from dealrec.app.kit.traces import Span, request_span
from dealrec.app.metrics.requests import RequestMetrics
from dealrec.app.settings import Settings
from dealrec.errors import DealrecError

REQUEST_ID = "x-request-id"
_OPEN_PATHS = frozenset({"/healthz", "/readyz", "/openapi.json", "/docs", "/console/sign-in"})
_OPEN_FILES = "/console/static/"
_UPLOAD_PATHS = re.compile(r"/v1/(datasets(/[a-z0-9_]+/append)?|prune)", re.ASCII)
_PART_PATHS = "/v1/uploads/"
_METRICS = "/metrics"
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{8,64}", re.ASCII)
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_LOG = structlog.get_logger("dealrec.requests")


class _TooLarge(HTTPException):
    """Passes through FastAPI's reading of bodies unchanged, as only HTTP exceptions do."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


class Gate:
    """ASGI middleware for authentication, scopes, limits, and one log line; it answers every error."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: RequestMetrics) -> None:
        self.app = app
        self.settings = settings
        self.metrics = metrics
        self.rates = Rates(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # the service has no websockets
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _REQUEST_ID.fullmatch(given) else new_id("req")
        scope.setdefault("state", {}).update(request_id=request_id, caller=None)
        # The variables are bound to this request's task and to every thread that it runs in.
        with structlog.contextvars.bound_contextvars(request_id=request_id, tenant=None):
            if _is_open(scope["path"]) or scope["path"] == _METRICS:  # asked all the time
                await self._answer(scope, receive, send, Span())
                return
            with request_span(scope["method"], Headers(scope=scope)) as span:
                await self._answer(scope, receive, send, span)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, span: Span) -> None:
        started, began = time.perf_counter(), 0.0
        status = 500

        async def watched_send(message: Message) -> None:
            nonlocal began, status
            if message["type"] == "http.response.start":
                began, status = time.perf_counter(), message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = scope["state"]["request_id"]
            await send(message)

        path = scope["path"]
        try:
            await run_in_threadpool(self._admit, scope)
            self._bind_tenant(scope["state"]["caller"])
            await self._limited(scope, receive, watched_send)
        except DealrecError as error:
            await error_response(error, path)(scope, receive, watched_send)
        except ClientDisconnect:
            status = 499  # nginx's status for a client that hung up
        except Exception:
            _LOG.exception("internal_error", method=scope["method"], path=path)
            if began:
                raise
            await internal_error(path)(scope, receive, watched_send)
        finally:
            ended = time.perf_counter()
            self.metrics.observe(scope, status, (began or ended) - started)
            _describe(span, scope, status)
            _LOG.info(
                "request",
                method=scope["method"],
                path=path,
                status=status,
                milliseconds=round((ended - started) * 1000, 1),
            )

    def _admit(self, scope: Scope) -> None:
        """Put the caller into the request's state, or refuse the request."""
        headers, path = Headers(scope=scope), scope["path"]
        needed = not (_is_open(path) or (path == _METRICS and self.settings.metrics_open))
        database = scope["app"].state.database
        try:
            caller = authenticate(
                database, self.settings, headers.get("authorization"), needed=needed
            )
        except Unauthenticated:
            self.rates.count(_peer(scope))  # guessing keys is limited as well
            raise
        scope["state"]["caller"] = caller
        if caller is None:
            return
        if caller.key_id is None:
            require_loopback(scope, headers)
        if needed:
            self.rates.count(caller.key_id or _peer(scope), local=caller.key_id is None)
            caller.require(needed_scope(scope["method"], path))

    @staticmethod
    def _bind_tenant(caller: Caller | None) -> None:
        if caller is not None:
            structlog.contextvars.bind_contextvars(tenant=caller.tenant_id)

    def _limit(self, scope: Scope) -> int:
        """Return the most bytes that the body may have."""
        form = Headers(scope=scope).get("content-type", "").startswith("multipart/")
        if scope["method"] == "POST" and _UPLOAD_PATHS.fullmatch(scope["path"]) and form:
            return self.settings.max_upload_bytes
        if scope["method"] == "PUT" and scope["path"].startswith(_PART_PATHS):
            return self.settings.upload_part_bytes
        return self.settings.max_json_bytes

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, and count the bytes that it reads."""
        limit = self._limit(scope)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared) > limit:
            raise PayloadTooLarge(limit)
        count, too_large, answered = 0, False, False

        async def counted_receive() -> Message:
            nonlocal count, too_large
            message = await receive()
            if message["type"] == "http.request":
                count += len(message.get("body", b""))
                if count > limit:
                    too_large = True
                    raise _TooLarge
            return message

        async def replacing_send(message: Message) -> None:
            nonlocal answered
            if not too_large:
                await send(message)
            elif not answered:  # the answer is 413, whatever the application answers
                answered = True
                await error_response(PayloadTooLarge(limit), scope["path"])(scope, receive, send)

        await self.app(scope, counted_receive, replacing_send)


def _describe(span: Span, scope: Scope, status: int) -> None:
    """Give the span of a request its name and facts, as OpenTelemetry's conventions have them."""
    route = getattr(scope.get("route"), "path", None)
    caller = scope["state"]["caller"]
    if route is not None:
        span.rename(f"{scope['method']} {route}")
    span.note(
        http__request__method=scope["method"],
        http__route=route,
        http__response__status_code=status,
        dealrec__request_id=scope["state"]["request_id"],
        dealrec__tenant=None if caller is None else caller.tenant_id,
    )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        span.fail(str(status))


def _is_open(path: str) -> bool:
    return path in _OPEN_PATHS or path.startswith(_OPEN_FILES)


def require_loopback(scope: Scope, headers: Headers) -> None:
    """Admit only this machine while no keys exist, and no web site through a browser.

    The peer's address must be this machine's, and so must the ``Host`` (against DNS rebinding) and,
    for unsafe methods, the ``Origin``. Raises :class:`PermissionDenied` (``loopback_only``).
    """
    hosts = [_peer(scope), _host(f"//{headers.get('host', '')}")]
    origin = headers.get("origin")
    if origin is not None and scope["method"] not in _SAFE_METHODS:
        hosts.append(_host(origin))
    if not all(is_loopback(host) for host in hosts):
        raise PermissionDenied(
            "No API key exists, so the server answers only requests from its own machine to a "
            "loopback address. Create a key with `dealrec keys create`.",
            code="loopback_only",
            title="Only requests from the server's own machine are allowed",
        )


def _peer(scope: Scope) -> str:
    return str((scope.get("client") or ("",))[0])


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether ``host`` is a loopback address or ``localhost``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
