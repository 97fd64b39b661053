"""Adapters over HTTP."""

from fastapi import APIRouter, Request, Response

from dealrec.app.adapters import service
from dealrec.app.adapters.repository import AdapterRepository
from dealrec.app.adapters.schemas import Adapter
from dealrec.app.kit.context import ContextDep
from dealrec.app.kit.downloads import download, new_scratch
from dealrec.app.kit.pagination import Page, PageQuery
from dealrec.app.kit.problems import documented
from dealrec.app.removal import removing

router = APIRouter(prefix="/v1/adapters", tags=["adapters"])


@router.get("", operation_id="list_adapters", responses=documented())
def list_adapters(context: ContextDep, page: PageQuery) -> Page[Adapter]:
    """List all adapters, newest first."""
    with context.read() as session:
        repository = AdapterRepository(session, context.tenant_id)
        return repository.page(repository.query(), page).page(Adapter.of)


@router.get("/{adapter_id}", operation_id="get_adapter", responses=documented(404))
def get_adapter(adapter_id: str, context: ContextDep) -> Adapter:
    """Return an adapter with the list of its files."""
    with context.read() as session:
        return Adapter.of(AdapterRepository(session, context.tenant_id).get(adapter_id))


@router.get(
    "/{adapter_id}/download",
    operation_id="download_adapter",
    response_class=Response,
    responses={**documented(404, 416), 200: {"content": {"application/zip": {}}}},
)
def download_adapter(adapter_id: str, request: Request, context: ContextDep) -> Response:
    """Download the PEFT folder as a zip; ``PeftModel.from_pretrained`` loads the unpacked folder."""
    with context.read() as session:
        row = AdapterRepository(session, context.tenant_id).get(adapter_id)
    folder = new_scratch(context.settings)
    files = context.storage.fetch_folder(row.prefix, folder / "adapter")
    path = folder / "adapter.zip"
    service.write_zip(files, [file["name"] for file in row.files], path)
    return download(request, path, f"{adapter_id}.zip", "application/zip", folder)


@router.get(
    "/{adapter_id}/files/{name}",
    operation_id="download_adapter_file",
    response_class=Response,
    responses={**documented(404, 416), 200: {"content": {"application/octet-stream": {}}}},
)
def download_file(adapter_id: str, name: str, request: Request, context: ContextDep) -> Response:
    """Download one file of the PEFT folder."""
    with context.read() as session:
        row = AdapterRepository(session, context.tenant_id).get(adapter_id)
        key = service.require_file(row, name)
    folder = new_scratch(context.settings)
    path = context.storage.fetch_file(key, folder)
    return download(request, path, name, "application/octet-stream", folder)


@router.delete(
    "/{adapter_id}", status_code=204, operation_id="delete_adapter", responses=documented(404)
)
def delete_adapter(adapter_id: str, context: ContextDep) -> Response:
    """Delete an adapter."""
    with removing(context) as removal:
        row = AdapterRepository(removal.session, context.tenant_id).get(adapter_id)
        removal.adapter(row)
    return Response(status_code=204)
