"""``POST /v1/prune`` makes a data set and a job on it in one transaction."""

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool

from dealrec.app.datasets.endpoints import UPLOAD_PROPERTIES, multipart_body
from dealrec.app.datasets.service import StoredUpload, add_dataset
from dealrec.app.datasets.uploads import FIELDS, FILES, DatasetUpload, dataset_upload
from dealrec.app.jobs import service
from dealrec.app.jobs.schemas import Job, Metadata
from dealrec.app.jobs.targets import Budgeted
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.downloads import scratch
from dealrec.app.kit.multipart import Form, read_form
from dealrec.app.kit.problems import documented
from dealrec.app.kit.schemas import parse_json
from dealrec.config import PruneConfig, parse_budget
from dealrec.config.curve import parse_target
from dealrec.config.wording import field_errors
from dealrec.errors import FieldError, InputError

router = APIRouter(prefix="/v1", tags=["jobs"])

_METADATA: TypeAdapter[dict[str, str]] = TypeAdapter(Metadata)
_PROPERTIES = {
    **UPLOAD_PROPERTIES,
    "budget": {"type": "string", "description": "A count, or a fraction such as 0.02"},
    "target": {"type": "string", "description": "Instead of a budget: `95 % of full`"},
    "config": {"type": "string", "description": "JSON object like a job's `config`"},
    "metadata": {"type": "string", "description": "JSON object of up to 16 short strings"},
}


@router.post(
    "/prune",
    status_code=202,
    operation_id="prune",
    responses=documented(),
    openapi_extra=multipart_body(_PROPERTIES, []),
)
async def prune(request: Request, response: Response, context: ContextDep) -> Job:
    """Upload interactions or samples, and create a job on them; an invalid field refuses both."""
    with scratch(context.settings) as folder:
        form = await read_form(
            request, folder, files=FILES, fields=FIELDS | {"budget", "target", "config", "metadata"}
        )
        job = await run_in_threadpool(_prune, context, form)
    response.headers["location"] = f"/v1/jobs/{job.id}"
    return job


def _prune(context: Context, form: Form) -> Job:
    upload = dataset_upload(form)
    if "budget" not in form.fields and "target" not in form.fields:
        raise InputError(
            "The form has neither a field `budget` nor a field `target`. Add one of them.",
            code="missing_field",
            title="A field is missing",
            errors=[FieldError("budget", "is required unless there is a `target`")],
        )
    config = PruneConfig.parse(parse_json(form.fields.get("config") or "{}", "config"))
    service.require_models_of_job(config, context)
    return _create(context, upload, _budget(form), config, _metadata(form))


def _budget(form: Form) -> Budgeted:
    text, target = form.fields.get("budget"), form.fields.get("target")
    if text is not None and target is not None:
        raise InputError(
            "Give `budget` or `target`, not both.",
            code="invalid_budget",
            title="The budget cannot be used",
            errors=[FieldError("budget", "cannot be combined with a `target`")],
        )
    if text is not None:
        return Budgeted(parse_budget(text))
    return Budgeted(None, parse_target(target))


def _create(
    context: Context,
    upload: DatasetUpload,
    budget: Budgeted,
    config: PruneConfig,
    metadata: dict[str, str],
) -> Job:
    stored = StoredUpload(context.storage, context.tenant_id, upload)
    try:
        with context.write() as session:
            dataset = add_dataset(session, context.tenant_id, stored)
            job = service.add_prune_job(
                session, dataset, budget=budget, config=config, metadata=metadata
            )
            answer = service.present(session, job)
            context.audit(session, "dataset.create", dataset.id)
            context.keep(session, answer, 202, f"/v1/jobs/{answer.id}")
            return answer
    except Exception:
        stored.discard()
        raise


def _metadata(form: Form) -> dict[str, str]:
    value = parse_json(form.fields.get("metadata") or "{}", "metadata")
    try:
        return _METADATA.validate_python(value)
    except ValidationError as error:
        raise InputError(
            "`metadata` must be an object of up to 16 short strings.",
            code="invalid_request",
            title="The request cannot be used",
            errors=field_errors(error.errors(), "metadata"),
        ) from None
