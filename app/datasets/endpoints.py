"""Data sets over HTTP."""

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from dealrec.app.datasets import service
from dealrec.app.datasets.preview import prompt_preview
from dealrec.app.datasets.repository import DatasetRepository
from dealrec.app.datasets.schemas import (
    Dataset,
    DatasetAppend,
    DatasetCreate,
    PromptPreview,
    PromptPreviewCreate,
    SampleText,
)
from dealrec.app.datasets.uploads import (
    APPENDED,
    FIELDS,
    FILES,
    ROLES,
    SOURCE,
    Append,
    DatasetUpload,
    append_from_files,
    append_from_form,
    dataset_upload,
    form_of_source,
    whole_files,
)
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.downloads import scratch
from dealrec.app.kit.multipart import Form, read_form
from dealrec.app.kit.pagination import Page, PageQuery
from dealrec.app.kit.problems import documented
from dealrec.app.kit.schemas import Cascade, is_json, read_json
from dealrec.app.naming import Rename
from dealrec.app.removal import removing
from dealrec.app.tables.datasets import DatasetState
from dealrec.config import DataOptions, Sampling, SplitMethod
from dealrec.config.data import DataKind
from dealrec.config.texts import no_ids
from dealrec.data.audit import DatasetShape, dataset_shape
from dealrec.data.dataset import Dataset as StoredDataset

router = APIRouter(prefix="/v1/datasets", tags=["data sets"])

UPLOAD_PROPERTIES: Mapping[str, object] = {
    "interactions": {
        "type": "string",
        "format": "binary",
        "description": "Interactions: CSV, TSV, JSON, Parquet, Excel or RecBole .inter, compressed or not",
    },
    "items": {
        "type": "string",
        "format": "binary",
        "description": "Item catalogue: item_id, title and further text columns",
    },
    "samples": {
        "type": "string",
        "format": "binary",
        "description": "Ready texts: JSON Lines, JSON, Parquet or CSV with messages, or prompt and "
        "completion, or instruction and output; also sample_id, user_id, history and "
        "target if the texts have ids of items",
    },
    "name": {"type": "string", "minLength": 1, "maxLength": 200},
    "options": {
        "type": "string",
        "description": "How the files are read: a JSON object like `options` of a data set",
    },
    "columns": {
        "type": "string",
        "description": "The option `columns`: a JSON object that maps DEALRec's column names to the file's",
    },
    "split": {"type": "string", "enum": [method.value for method in SplitMethod]},
}


_SOURCE_PROPERTY: Mapping[str, object] = {
    SOURCE: {
        "type": "string",
        "description": "The data set whose files are read again; files in the form replace those of its kind",
    }
}


def multipart_body(
    properties: Mapping[str, object], required: list[str], *, json: str | None = None
) -> dict[str, object]:
    """Describe a form that is parsed while it streams, and ``json``, the schema of its alternative."""
    schema = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    content: dict[str, object] = {"multipart/form-data": {"schema": schema}}
    if json is not None:
        content["application/json"] = {"schema": {"$ref": f"#/components/schemas/{json}"}}
    return {"requestBody": {"required": True, "content": content}}


@router.post(
    "",
    status_code=201,
    operation_id="create_dataset",
    responses=documented(404, 409),
    openapi_extra=multipart_body(
        {**UPLOAD_PROPERTIES, **_SOURCE_PROPERTY}, [], json="DatasetCreate"
    ),
)
async def create_dataset(request: Request, response: Response, context: ContextDep) -> Dataset:
    """Create a data set from a form with interactions, items and samples, or from files named in JSON.

    Items are optional. Samples are ready texts; with them, interactions may be left out. Samples without
    ids of items form a data set by themselves, on which only selectors work that need no surrogate.

    Files named in JSON are uploads, addresses that the operator allows, or the files of another data set,
    which are read again with other options or with some of them replaced. Several files of a kind form
    one table. If their names begin with folders such as `day=2020-09-13`, these become columns.

    The files are validated after the response.
    """
    if is_json(request):
        body = await read_json(request, DatasetCreate)
        made = await run_in_threadpool(create_from_json, context, body)
    else:
        with scratch(context.settings) as folder:
            form = await read_form(request, folder, files=FILES, fields=FIELDS | {SOURCE})
            made = await run_in_threadpool(_create_from_form, context, form)
    response.headers["location"] = f"/v1/datasets/{made.id}"
    return made


def create_from_json(context: Context, body: DatasetCreate) -> Dataset:
    """Make a data set from uploads, from addresses, or from the files of another one."""
    with context.read() as session:
        files = service.named_files(session, context.settings, context.tenant_id, body, ROLES)
        upload = service.upload_of(session, context.tenant_id, body, files)
    return _create(context, upload)


def _create_from_form(context: Context, form: Form) -> Dataset:
    body = form_of_source(form)
    if body is None:
        return _create(context, dataset_upload(form))
    with context.read() as session:
        upload = service.upload_of(session, context.tenant_id, body, whole_files(form))
    return _create(context, upload)


def _create(context: Context, upload: DatasetUpload, parent_id: str | None = None) -> Dataset:
    stored = service.StoredUpload(context.storage, context.tenant_id, upload)
    try:
        with context.write() as session:
            parent = None
            if parent_id is not None:
                parent = DatasetRepository(session, context.tenant_id).get(parent_id, lock=True)
                service.require_ready(parent)
                context.audit(session, "dataset.append", parent.id)
            row = service.add_dataset(session, context.tenant_id, stored, parent)
            answer = Dataset.of(row)
            context.keep(session, answer, 201, f"/v1/datasets/{answer.id}")
            return answer
    except Exception:
        stored.discard()
        raise


_APPEND_PROPERTIES: Mapping[str, object] = {
    name: UPLOAD_PROPERTIES[name]
    for name in ("interactions", "items", "name", "options", "columns")
}


@router.post(
    "/{dataset_id}/append",
    status_code=201,
    operation_id="append_to_dataset",
    responses=documented(404, 409),
    openapi_extra=multipart_body(_APPEND_PROPERTIES, [], json="DatasetAppend"),
)
async def append_to_dataset(
    dataset_id: str, request: Request, response: Response, context: ContextDep
) -> Dataset:
    """Append interactions, items or both. The response is a new data set, the next version of this one.

    This data set stays as it is. The new one has the content that the files of all versions together
    would have, but only the appended files are read. Rows may be older than existing ones; repeated rows
    are rejected and counted. Once the new version is `ready`, it no longer needs this one.
    """
    await run_in_threadpool(_require_appendable, context, dataset_id)
    if is_json(request):
        body = await read_json(request, DatasetAppend)
        made = await run_in_threadpool(_append_named, context, dataset_id, body)
    else:
        with scratch(context.settings) as folder:
            form = await read_form(request, folder, files=APPENDED, fields=FIELDS - {"split"})
            append = append_from_form(form)
            made = await run_in_threadpool(_append, context, dataset_id, append)
    response.headers["location"] = f"/v1/datasets/{made.id}"
    return made


def _require_appendable(context: Context, dataset_id: str) -> None:
    with context.read() as session:
        parent = DatasetRepository(session, context.tenant_id).get(dataset_id)
        service.require_appendable(parent)


def _append_named(context: Context, dataset_id: str, body: DatasetAppend) -> Dataset:
    with context.read() as session:
        files = service.named_files(session, context.settings, context.tenant_id, body, APPENDED)
        append = append_from_files(body, files)
    return _append(context, dataset_id, append)


def _append(context: Context, dataset_id: str, append: Append) -> Dataset:
    with context.read() as session:
        parent = DatasetRepository(session, context.tenant_id).get(dataset_id)
        before = DataOptions.parse(parent.options, location="options")
        name = append.name or parent.name
    upload = DatasetUpload(append.files, name, before.of_append(append.asked))
    return _create(context, upload, dataset_id)


@router.get(
    "/{dataset_id}/versions", operation_id="list_dataset_versions", responses=documented(404)
)
def list_versions(dataset_id: str, context: ContextDep, page: PageQuery) -> Page[Dataset]:
    """List all versions of a data set, newest first. Each names the version that it was appended to."""
    with context.read() as session:
        repository = DatasetRepository(session, context.tenant_id)
        query = repository.versions(repository.get(dataset_id))
        return repository.page(query, page).page(Dataset.of)


@router.get("", operation_id="list_datasets", responses=documented())
def list_datasets(context: ContextDep, page: PageQuery) -> Page[Dataset]:
    """List all data sets, newest first."""
    with context.read() as session:
        return service.list_datasets(session, context.tenant_id, page).page(Dataset.of)


@router.get("/{dataset_id}", operation_id="get_dataset", responses=documented(404))
def get_dataset(dataset_id: str, context: ContextDep) -> Dataset:
    """Return a data set with the report of its validation, or with the validation's progress."""
    with context.read() as session:
        repository = DatasetRepository(session, context.tenant_id)
        row = repository.get(dataset_id)
        runs = row.state == DatasetState.VALIDATING
        found = Dataset.of(row, repository.ingest_progress(row) if runs else None)
        return found.model_copy(update={"same_content": repository.same_content(row)})


@router.patch("/{dataset_id}", operation_id="rename_dataset", responses=documented(404))
def rename_dataset(dataset_id: str, body: Rename, context: ContextDep) -> Dataset:
    """Give a data set another name. Its content and its hash stay the same."""
    with context.write() as session:
        row = DatasetRepository(session, context.tenant_id).get(dataset_id, lock=True)
        row.name = body.name
        context.audit(session, "dataset.rename", row.id)
        return Dataset.of(row)


@router.delete(
    "/{dataset_id}",
    status_code=204,
    operation_id="delete_dataset",
    responses=documented(404, 409),
)
def delete_dataset(dataset_id: str, context: ContextDep, cascade: Cascade = False) -> Response:
    """Delete a data set on which nothing depends or, with ``cascade``, also everything made from it."""
    with removing(context) as removal:
        service.delete_dataset(removal, dataset_id, cascade=cascade)
    return Response(status_code=204)


@router.get(
    "/{dataset_id}/samples", operation_id="list_dataset_samples", responses=documented(404, 409)
)
def list_samples(
    dataset_id: str,
    context: ContextDep,
    page: PageQuery,
    sampling: Sampling = Sampling.AUTO,
) -> Page[SampleText]:
    """List the samples as the language model reads them, in their dense order."""
    with context.read() as session:
        row = DatasetRepository(session, context.tenant_id).get(dataset_id)
        prefix = service.require_ready(row)
    with scratch(context.settings) as folder:
        texts = service.sample_texts(context.storage.fetch_folder(prefix, folder), sampling, page)
    return texts.page(lambda text: text)


@router.get("/{dataset_id}/shape", operation_id="get_dataset_shape", responses=documented(404, 409))
def get_shape(dataset_id: str, context: ContextDep) -> DatasetShape:
    """Return the distributions that show whether there is anything to learn.

    These are interactions over time and by split, the lengths of histories, and the popularity of items.
    """
    with context.read() as session:
        row = DatasetRepository(session, context.tenant_id).get(dataset_id)
        prefix = service.require_ready(row)
        if DataKind.of(row.report or {}) is DataKind.TEXTS:
            raise no_ids(
                "The shape of histories and items",
                "Texts without ids have no such shape.",
                "dataset_id",
            )
    with scratch(context.settings) as folder:
        return dataset_shape(StoredDataset.load(context.storage.fetch_folder(prefix, folder)))


@router.post(
    "/{dataset_id}/prompt-preview",
    operation_id="create_prompt_preview",
    responses=documented(404, 409),
)
def create_prompt_preview(
    dataset_id: str, body: PromptPreviewCreate, context: ContextDep
) -> PromptPreview:
    """Show some samples in the words of a prompt, as a language model reads them. Nothing is stored."""
    with context.read() as session:
        row = DatasetRepository(session, context.tenant_id).get(dataset_id)
        prefix = service.require_ready(row)
    with scratch(context.settings) as folder:
        stored = context.storage.fetch_folder(prefix, folder)
        return prompt_preview(stored, body, context.tenant_id)
