"""Language models over HTTP."""

from fastapi import APIRouter, Response

from dealrec.app.kit.context import ContextDep
from dealrec.app.kit.problems import documented
from dealrec.app.models import service
from dealrec.app.models.schemas import LanguageModelCreate, LanguageModelEntry, LanguageModels

router = APIRouter(prefix="/v1/models", tags=["catalogue"])


@router.get("", operation_id="list_models", responses=documented())
def list_models(context: ContextDep) -> LanguageModels:
    """List the language models for ``effort.model`` and ``finetune.model``."""
    entries = service.visible(context.tenant_id).values()
    return LanguageModels(data=[LanguageModelEntry.of(entry) for entry in entries])


@router.get("/{name}", operation_id="get_model", responses=documented(404))
def get_model(name: str, context: ContextDep) -> LanguageModelEntry:
    """Return a language model with its measured time and memory."""
    return LanguageModelEntry.of(service.get_model(name, context.tenant_id))


@router.post("", status_code=201, operation_id="create_model", responses=documented(409))
def create_model(
    body: LanguageModelCreate, response: Response, context: ContextDep
) -> LanguageModelEntry:
    """Add a model from the Hugging Face Hub to the catalogue, for the caller's tenant only.

    Weights are read from safetensors or GGUF, and code from a repository is never run. The server downloads
    nothing: the model is ``not_pulled`` until its operator has run ``dealrec models pull NAME`` where the
    workers are, and until then jobs with it are refused.
    """
    entry = body.entry(context.tenant_id)
    place = f"/v1/models/{entry.name}"
    answer = LanguageModelEntry.of(entry)
    with service.adding_model(entry), context.write() as session:
        context.keep(session, answer, 201, place)
    response.headers["location"] = place
    return answer


@router.delete(
    "/{name}", status_code=204, operation_id="delete_model", responses=documented(404, 409)
)
def delete_model(name: str, context: ContextDep) -> Response:
    """Remove one of the tenant's own language models from the catalogue. Its files stay."""
    with service.removing_model(name, context.tenant_id), context.write() as session:
        service.require_unused(session, name, context.tenant_id)
        context.audit(session, "model.delete", name)
    return Response(status_code=204)
