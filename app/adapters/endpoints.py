"""Adapters over HTTP."""

import shutil

from fastapi import APIRouter, Request, Response

from dealrec.app.adapters import service
from dealrec.app.adapters.merging import merge
from dealrec.app.adapters.repository import AdapterRepository
from dealrec.app.adapters.schemas import Adapter
from dealrec.app.kit.context import ContextDep
from dealrec.app.kit.downloads import download, new_scratch
from dealrec.app.kit.pagination import Page, PageQuery
from dealrec.app.kit.problems import documented
from dealrec.app.models.service import require_known_model
from dealrec.app.naming import Rename
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


@router.patch("/{adapter_id}", operation_id="rename_adapter", responses=documented(404))
def rename_adapter(adapter_id: str, body: Rename, context: ContextDep) -> Adapter:
    """Give an adapter another name."""
    with context.write() as session:
        row = AdapterRepository(session, context.tenant_id).get(adapter_id, lock=True)
        row.name = body.name
        context.audit(session, "adapter.rename", row.id)
        return Adapter.of(row)


@router.get(
    "/{adapter_id}/download",
    operation_id="download_adapter",
    response_class=Response,
    responses={**documented(404, 416), 200: {"content": {"application/zip": {}}}},
)
def download_adapter(adapter_id: str, request: Request, context: ContextDep) -> Response:
    """Download the PEFT folder as a zip. ``PeftModel.from_pretrained`` loads the unpacked folder."""
    with context.read() as session:
        row = AdapterRepository(session, context.tenant_id).get(adapter_id)
    folder = new_scratch(context.settings)
    files = context.storage.fetch_folder(row.prefix, folder / "adapter")
    path = folder / "adapter.zip"
    service.write_zip(files, [file["name"] for file in row.files], path)
    return download(request, path, f"{adapter_id}.zip", "application/zip", folder)


@router.get(
    "/{adapter_id}/merged",
    operation_id="download_merged_model",
    response_class=Response,
    responses={**documented(404, 409, 416), 200: {"content": {"application/zip": {}}}},
)
def download_merged(adapter_id: str, request: Request, context: ContextDep) -> Response:
    """Download the language model with the adapter merged into its weights, as a zip. It loads without peft.

    The zip contains the tokenizer and the weights in safetensors, unquantized and in the ``dtype`` of the
    training. The merge is done for each request and takes as long as loading the model.
    """
    with context.read() as session:
        row = AdapterRepository(session, context.tenant_id).get(adapter_id)
        require_known_model(row.model, "model", context.tenant_id)
    folder = new_scratch(context.settings)
    try:
        files = context.storage.fetch_folder(row.prefix, folder / "adapter")
        merge(row, files, folder / "merged")
        names = [path.name for path in (folder / "merged").iterdir()]
        service.write_zip(folder / "merged", names, folder / "merged.zip")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder / "merged")
    name = f"{adapter_id}-merged.zip"
    return download(request, folder / "merged.zip", name, "application/zip", folder)


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
