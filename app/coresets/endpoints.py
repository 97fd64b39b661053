"""Coresets over HTTP."""

import shutil
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from dealrec.app.coresets import insight, service
from dealrec.app.coresets.exporting import wanted_export
from dealrec.app.coresets.repository import CoresetRepository
from dealrec.app.coresets.schemas import (
    BudgetSweep,
    Coreset,
    CoresetCreate,
    CoresetDiff,
    CoresetSample,
    Explanation,
)
from dealrec.app.jobs.repository import JobRepository
from dealrec.app.jobs.schemas import FinetuneJobConfig, Job
from dealrec.app.jobs.service import add_finetune_job, present, require_model_of_training
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.downloads import download, new_scratch, scratch
from dealrec.app.kit.pagination import Page, PageQuery
from dealrec.app.kit.problems import documented
from dealrec.app.kit.schemas import Cascade
from dealrec.app.kit.text import require_storable
from dealrec.app.naming import Rename
from dealrec.app.removal import removing
from dealrec.app.tables.coresets import CoresetRow
from dealrec.coresets.formats import CoresetFormat

router = APIRouter(prefix="/v1", tags=["coresets"])


@router.post(
    "/jobs/{job_id}/coresets",
    status_code=201,
    operation_id="create_coreset",
    response_model=Coreset,
    responses={
        **documented(404, 409),
        202: {"model": Job, "description": "A job of kind `select`"},
    },
)
def create_coreset(
    job_id: str, body: CoresetCreate, response: Response, context: ContextDep
) -> Coreset | Response:
    """Select again from the job's scores, in seconds and without training.

    If the selector needs more than these scores (embeddings, gradients, difficulty), the response is 202
    with a job that computes them first. Results of the earlier job are reused.
    """
    made = reselect(job_id, body, context)
    if isinstance(made, Job):
        headers = {"location": f"/v1/jobs/{made.id}"}
        return JSONResponse(made.model_dump(mode="json"), status_code=202, headers=headers)
    response.headers["location"] = f"/v1/coresets/{made.id}"
    return made


def reselect(job_id: str, body: CoresetCreate, context: Context) -> Coreset | Job:
    """Make another coreset of the job's samples, or start the job that will make it."""
    with context.read() as session:
        task = service.selection_task(session, context.tenant_id, job_id, body)
    if task.needs_job:
        with context.write() as session:
            job = present(session, service.add_job(session, context.tenant_id, task))
            context.keep(session, job, 202, f"/v1/jobs/{job.id}")
        return job
    identifier = service.new_coreset_id()
    prefix = service.coreset_prefix(context.tenant_id, identifier)
    try:
        with scratch(context.settings) as folder:
            written, out = service.select_again(context.storage, task, folder)
            stored_bytes = context.storage.put_folder(prefix, out)
        with context.write() as session:
            row = service.add_coreset(
                session, context.tenant_id, task, written, identifier, stored_bytes
            )
            coreset = Coreset.of(row)
            context.keep(session, coreset, 201, f"/v1/coresets/{coreset.id}")
    except Exception:
        context.storage.delete_prefix(prefix)
        raise
    return coreset


@router.get("/coresets", operation_id="list_coresets", responses=documented(404))
def list_coresets(
    context: ContextDep,
    page: PageQuery,
    job_id: Annotated[str | None, Query(max_length=40)] = None,
) -> Page[Coreset]:
    """List all coresets, or those of a job, newest first."""
    with context.read() as session:
        repository = CoresetRepository(session, context.tenant_id)
        query = repository.query()
        if job_id is not None:
            job = JobRepository(session, context.tenant_id).get(job_id)
            query = query.where(CoresetRow.job_id == job.id)
        return repository.page(query, page).page(Coreset.of)


@router.get("/coresets/{coreset_id}", operation_id="get_coreset", responses=documented(404))
def get_coreset(coreset_id: str, context: ContextDep) -> Coreset:
    """Return a coreset."""
    with context.read() as session:
        return Coreset.of(CoresetRepository(session, context.tenant_id).get(coreset_id))


@router.patch("/coresets/{coreset_id}", operation_id="rename_coreset", responses=documented(404))
def rename_coreset(coreset_id: str, body: Rename, context: ContextDep) -> Coreset:
    """Give a coreset another name. Its members and its manifest stay the same."""
    with context.write() as session:
        row = CoresetRepository(session, context.tenant_id).get(coreset_id, lock=True)
        row.name = body.name
        context.audit(session, "coreset.rename", row.id)
        return Coreset.of(row)


@router.get(
    "/coresets/{coreset_id}/samples",
    operation_id="list_coreset_samples",
    responses=documented(404),
)
def list_samples(coreset_id: str, context: ContextDep, page: PageQuery) -> Page[CoresetSample]:
    """List the members in dense order."""
    with context.read() as session:
        prefix = CoresetRepository(session, context.tenant_id).get(coreset_id).prefix
    with scratch(context.settings) as folder:
        members = context.storage.fetch_file(f"{prefix}/{service.MEMBERS}", folder)
        return service.member_page(members, page)


@router.get(
    "/coresets/{coreset_id}/manifest",
    operation_id="get_coreset_manifest",
    response_model=dict[str, Any],
    responses=documented(404),
)
def get_manifest(coreset_id: str, request: Request, context: ContextDep) -> Response:
    """Download the manifest, which says how to reproduce the coreset."""
    return _stored(request, context, coreset_id, service.MANIFEST, "application/json")


@router.get(
    "/coresets/{coreset_id}/report",
    operation_id="get_coreset_report",
    response_class=Response,
    responses={**documented(404, 416), 200: {"content": {"text/html": {}}}},
)
def get_report(coreset_id: str, request: Request, context: ContextDep) -> Response:
    """Download the report: a self-contained page with score distributions, strata and members."""
    return _stored(request, context, coreset_id, service.REPORT, "text/html")


@router.get(
    "/coresets/{coreset_id}/download",
    operation_id="download_coreset",
    response_class=Response,
    responses={
        **documented(404, 416),
        200: {"content": {one.media_type: {} for one in CoresetFormat}},
    },
)
def download_coreset(
    coreset_id: str,
    request: Request,
    context: ContextDep,
    format: CoresetFormat = CoresetFormat.JSONL,  # noqa: A002
    configurations: bool = False,
    adapter_id: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """Download the members in one file that is ready for training.

    With ``configurations`` it is a zip of that file and of configurations for TRL, Axolotl and
    LLaMA-Factory. They repeat the fine-tuning of the job, or that of the adapter ``adapter_id``, or the
    defaults. The format ``huggingface`` is always a zip.
    """
    with context.read() as session:
        coreset = CoresetRepository(session, context.tenant_id).get(coreset_id)
        wanted = wanted_export(
            session, coreset, format, configurations=configurations, adapter_id=adapter_id
        )
    folder = new_scratch(context.settings)
    try:
        path = wanted.write(context.storage, folder)
    except Exception:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return download(request, path, wanted.name, wanted.media_type, folder)


@router.get(
    "/coresets/{coreset_id}/explanation",
    operation_id="explain_sample",
    responses=documented(404),
)
def get_explanation(
    coreset_id: str, context: ContextDep, sample_key: Annotated[str, Query(max_length=10_000)]
) -> Explanation:
    """Explain why a sample is in the coreset, or why not."""
    with context.read() as session:
        row = CoresetRepository(session, context.tenant_id).get(coreset_id)
        key = service.scores_key(session, row)
        coreset = Coreset.of(row)
    with scratch(context.settings) as folder:
        scores = context.storage.fetch_file(key, folder)
        return insight.explain(scores, coreset, sample_key)


@router.get(
    "/coresets/{coreset_id}/diff",
    operation_id="diff_coresets",
    responses=documented(404),
)
def get_diff(
    coreset_id: str, context: ContextDep, against: Annotated[str, Query(max_length=40)]
) -> CoresetDiff:
    """Compare the coreset's members with those of the coreset ``against``."""
    with context.read() as session:
        repository = CoresetRepository(session, context.tenant_id)
        row, other = repository.get(coreset_id), repository.get(against)
        service.require_comparable(session, row, other)
        key = service.scores_key(session, row)
    with scratch(context.settings) as folder:
        scores = context.storage.fetch_file(key, folder)
        members = context.storage.fetch_file(f"{other.prefix}/{service.MEMBERS}", folder)
        return insight.diff(scores, members, coreset_id, against)


@router.get(
    "/jobs/{job_id}/budget-sweep",
    operation_id="sweep_budgets",
    responses=documented(404, 409),
)
def get_budget_sweep(
    job_id: str, context: ContextDep, budgets: Annotated[str, Query(max_length=1000)]
) -> BudgetSweep:
    """Describe the job's selection at other budgets. No coreset is stored."""
    asked = service.parse_budgets(budgets)
    with context.read() as session:
        task = service.selection_task(session, context.tenant_id, job_id, CoresetCreate())
    with scratch(context.settings) as folder:
        stored = context.storage.fetch_folder(task.dataset_prefix, folder / "dataset")
        scores = context.storage.fetch_file(f"{task.scores_prefix}/{service.SCORES}", folder)
        points = insight.budget_sweep(stored, scores, task.config, asked)
    return BudgetSweep(job_id=job_id, data=points)


@router.delete(
    "/coresets/{coreset_id}",
    status_code=204,
    operation_id="delete_coreset",
    responses=documented(404, 409),
)
def delete_coreset(coreset_id: str, context: ContextDep, cascade: Cascade = False) -> Response:
    """Delete a coreset; ``cascade`` also deletes adapters that were trained on it."""
    with removing(context) as removal:
        row = CoresetRepository(removal.session, context.tenant_id).get(coreset_id)
        removal.coreset(row, cascade=cascade)
    return Response(status_code=204)


@router.post(
    "/coresets/{coreset_id}/finetunes",
    status_code=202,
    operation_id="create_finetune",
    responses=documented(404, 409),
)
def create_finetune(
    coreset_id: str, body: FinetuneJobConfig, response: Response, context: ContextDep
) -> Job:
    """Train a LoRA adapter on the coreset. The response is a job of the kind ``finetune``.

    With ``evaluation``, the job then evaluates the adapter on held-out users.
    """
    require_storable(body.model_dump(mode="json"))
    require_model_of_training(body, context)
    with context.write() as session:
        coreset = CoresetRepository(session, context.tenant_id).get(coreset_id)
        jobs = JobRepository(session, context.tenant_id)
        maker = jobs.get(coreset.job_id)
        dataset = jobs.dataset(maker)
        service.require_unseen_answers(coreset, maker, dataset, body)
        job = present(session, add_finetune_job(session, dataset, coreset, body))
        context.keep(session, job, 202, f"/v1/jobs/{job.id}")
    response.headers["location"] = f"/v1/jobs/{job.id}"
    return job


def _stored(
    request: Request, context: Context, coreset_id: str, name: str, media_type: str
) -> Response:
    with context.read() as session:
        prefix = CoresetRepository(session, context.tenant_id).get(coreset_id).prefix
    folder = new_scratch(context.settings)
    path = context.storage.fetch_file(f"{prefix}/{name}", folder)
    return download(request, path, f"{coreset_id}-{name}", media_type, folder)
