"""Uploads over HTTP."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi import Path as PathParameter
from starlette.concurrency import run_in_threadpool

from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.downloads import scratch
from dealrec.app.kit.errors import Conflict, PayloadTooLarge
from dealrec.app.kit.problems import documented
from dealrec.app.uploads import service
from dealrec.app.uploads.repository import UploadRepository
from dealrec.app.uploads.schemas import Upload, UploadCreate, UploadPart

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

_PART_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_FLUSH_BYTES = 1024 * 1024


@router.post("", status_code=201, operation_id="create_upload", responses=documented())
def create_upload(body: UploadCreate, response: Response, context: ContextDep) -> Upload:
    """Announce a file. Its parts can be sent in any order, and again after a broken connection."""
    with context.write() as session:
        row = service.add_upload(session, context.settings, context.tenant_id, body)
        upload = Upload.of(row, [])
        context.keep(session, upload, 201, f"/v1/uploads/{upload.id}")
    response.headers["location"] = f"/v1/uploads/{upload.id}"
    return upload


@router.get("/{upload_id}", operation_id="get_upload", responses=documented(404))
def get_upload(upload_id: str, context: ContextDep) -> Upload:
    """Return an upload and the parts that have arrived."""
    with context.read() as session:
        repository = UploadRepository(session, context.tenant_id)
        row = repository.get(upload_id)
        return Upload.of(row, repository.parts(row))


@router.put(
    "/{upload_id}/parts/{number}",
    operation_id="put_upload_part",
    responses=documented(404, 409),
    openapi_extra=_PART_BODY,
)
async def put_part(
    upload_id: str,
    number: Annotated[int, PathParameter(ge=1, lt=2**31)],
    request: Request,
    context: ContextDep,
) -> UploadPart:
    """Send one part as raw bytes. A part that is sent again replaces the earlier one."""
    expected = await run_in_threadpool(_expected, context, upload_id, number)
    with scratch(context.settings) as folder:
        path = folder / "part"
        await _receive(request, path, expected)
        return await run_in_threadpool(_keep, context, upload_id, number, path, expected)


def _expected(context: Context, upload_id: str, number: int) -> int:
    with context.read() as session:
        row = UploadRepository(session, context.tenant_id).get(upload_id)
        return service.expected_bytes(row, number)


async def _receive(request: Request, path: Path, limit: int) -> None:
    """Write the body to ``path`` a megabyte at a time; raises :class:`PayloadTooLarge`."""
    received, pending = 0, bytearray()
    with path.open("wb") as file:
        async for chunk in request.stream():
            received += len(chunk)
            if received > limit:
                raise PayloadTooLarge(limit)
            pending += chunk
            if len(pending) >= _FLUSH_BYTES:
                await run_in_threadpool(file.write, pending)
                pending = bytearray()
        await run_in_threadpool(file.write, pending)


def _keep(context: Context, upload_id: str, number: int, path: Path, expected: int) -> UploadPart:
    part = service.store_part(context.storage, context.tenant_id, upload_id, number, path, expected)
    key, answer = part.key, UploadPart.model_validate(part, from_attributes=True)
    try:
        with context.write() as session:
            replaced = service.add_part(session, context.tenant_id, part)
    except Exception:
        context.storage.delete_prefix(key)
        raise
    if replaced is not None:
        context.storage.delete_prefix(replaced)
    return answer


@router.post(
    "/{upload_id}/complete", operation_id="complete_upload", responses=documented(404, 409)
)
def complete_upload(upload_id: str, context: ContextDep) -> Upload:
    """Join the parts, and check their size and SHA-256. A repeated request gets the same response."""
    with context.read() as session:
        repository = UploadRepository(session, context.tenant_id)
        row = repository.get(upload_id)
        parts = repository.parts(row)
    if row.key is not None:
        return Upload.of(row, [])
    service.require_all_parts(row, parts)
    try:
        whole = service.assemble(context.storage, row, parts)
    except FileNotFoundError:
        raise Conflict(
            "Meanwhile a part was sent again, or the upload was completed. Try again.",
            code="upload_changed",
        ) from None
    try:
        with context.write() as session:
            row, unneeded = service.finish(session, row, whole)
            context.audit(session, "upload.complete", row.id)
            upload = Upload.of(row, [])
    except Exception:
        context.storage.delete_prefix(whole.key)
        raise
    for key in unneeded:
        context.storage.delete_prefix(key)
    return upload


@router.delete(
    "/{upload_id}", status_code=204, operation_id="delete_upload", responses=documented(404)
)
def delete_upload(upload_id: str, context: ContextDep) -> Response:
    """Delete an upload. Data sets made from it stay."""
    with context.write() as session:
        repository = UploadRepository(session, context.tenant_id)
        repository.delete(repository.get(upload_id, lock=True))
        context.audit(session, "upload.delete", upload_id)
    context.storage.delete_prefix(service.upload_prefix(context.tenant_id, upload_id))
    return Response(status_code=204)
