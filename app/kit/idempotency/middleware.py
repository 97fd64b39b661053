"""Answers a repeated POST with its first answer."""

from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dealrec.app.kit.idempotency.hashing import BodyHash
from dealrec.app.kit.idempotency.store import Answered, Reservation, give_back, reserve, reused
from dealrec.errors import FieldError, InputError

HEADER = "idempotency-key"
LONGEST_KEY = 255


class Idempotency:
    """ASGI middleware behind the gate: it reserves the key, and hashes the body while it is read.

    The endpoint keeps its answer in the transaction of its effect
    (:meth:`dealrec.app.kit.context.Context.keep`). An answer that created nothing is not kept, so
    that the client may use the key again for the corrected request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        caller = scope["state"]["caller"] if HEADER in headers else None
        if scope.get("method") != "POST" or caller is None:  # an open path has no caller
            await self.app(scope, receive, send)
            return
        database, tenant = scope["app"].state.database, caller.tenant_id
        body = BodyHash(headers.get("content-type", ""))
        route = f"POST {scope['path']}?{scope['query_string'].decode('latin-1')}"[:500]
        found = await run_in_threadpool(
            reserve, database, tenant, _checked(headers[HEADER]), route, body
        )
        if isinstance(found, Answered):
            await _repeat(found, body, scope, receive, send)
            return
        scope["state"]["idempotency"] = found
        try:
            await self.app(scope, _hashing(receive, found), send)
        finally:
            if not found.kept:
                await run_in_threadpool(give_back, database, found)


def _checked(key: str) -> str:
    if 1 <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable():
        return key
    message = f"1 to {LONGEST_KEY} printable ASCII characters"
    raise InputError(
        f"The Idempotency-Key must have {message}.",
        code="invalid_idempotency_key",
        errors=[FieldError("Idempotency-Key", message)],
    )


def _hashing(receive: Receive, reservation: Reservation) -> Receive:
    async def hashed() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            reservation.body.update(message.get("body", b""))
        return message

    return hashed


async def _repeat(
    found: Answered, body: BodyHash, scope: Scope, receive: Receive, send: Send
) -> None:
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        body.update(message.get("body", b""))
        more = message.get("more_body", False)
    if body.hexdigest() != found.request_sha256:
        raise reused()
    headers = {"idempotency-replayed": "true"}
    if found.location:
        headers["location"] = found.location
    await JSONResponse(found.answer, found.status, headers)(scope, receive, send)
