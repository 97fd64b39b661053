"""The keys of the caller's own tenant over HTTP, for its administrators."""

from fastapi import APIRouter, Response

from dealrec.app.keys import repository, service
from dealrec.app.keys.repository import KeyRepository
from dealrec.app.keys.schemas import Key, KeyCreate, NewKey
from dealrec.app.kit.context import ContextDep
from dealrec.app.kit.pagination import Page, PageQuery
from dealrec.app.kit.problems import documented

router = APIRouter(prefix="/v1/keys", tags=["administration"])


@router.post("", status_code=201, operation_id="create_key", responses=documented())
def create_key(body: KeyCreate, response: Response, context: ContextDep) -> NewKey:
    """Create a key. Its text is shown only in this response.

    The first key of a server must have the scope ``admin``: from then on every request needs a key, and
    without an administrator nobody could create or revoke one. An ``Idempotency-Key`` has no effect here,
    because the text is not stored and cannot be shown again.
    """
    with context.write() as session:
        if context.caller.key_id is None and not repository.any_key(session):
            service.require_administrator(body.scopes)
        row, text = service.create_key(
            session,
            body.name,
            context.tenant_id,
            scopes=body.scopes,
            expires_days=body.expires_days,
        )
        context.audit(session, "key.create", row.id)
    response.headers["cache-control"] = "no-store"
    return NewKey(**Key.of(row).model_dump(), key=text)


@router.get("", operation_id="list_keys", responses=documented())
def list_keys(context: ContextDep, page: PageQuery) -> Page[Key]:
    """List all keys of the tenant, including expired and revoked ones, newest first."""
    with context.read() as session:
        keys = KeyRepository(session, context.tenant_id)
        return keys.page(keys.query(), page).page(Key.of)


@router.delete("/{key_id}", status_code=204, operation_id="revoke_key", responses=documented(404))
def revoke_key(key_id: str, context: ContextDep) -> Response:
    """Revoke a key. The next request with it is refused. The key stays in the list."""
    with context.write() as session:
        service.revoke_key(session, KeyRepository(session, context.tenant_id).get(key_id))
        context.audit(session, "key.revoke", key_id)
    return Response(status_code=204)
