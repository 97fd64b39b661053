"""The page of the language models that the tenant may use."""

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from dealrec.app.console.forms import request_of
from dealrec.app.console.pages import raise_into_page, render
from dealrec.app.console.session import Posted
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.errors import status_of
from dealrec.app.models import endpoints as api
from dealrec.app.models.schemas import LanguageModelCreate
from dealrec.app.models.service import own_names
from dealrec.errors import DealrecError

router = APIRouter(prefix="/console/models", include_in_schema=False)
_INPUTS = (
    ("name", "Name", "The name by which jobs refer to the model.", True),
    ("repository", "Repository", "The repository, for example Qwen/Qwen2.5-0.5B-Instruct.", True),
    (
        "revision",
        "Commit",
        "The 40 digits of a commit. A branch is not enough, because it can change.",
        True,
    ),
    ("file", "GGUF file", "Leave empty to use the safetensors files.", False),
    ("licence", "Licence", "The licence of the model, for example apache-2.0.", False),
)
"""Name, label, help, and whether it is needed."""


@router.get("")
def list_page(request: Request, context: ContextDep) -> Response:
    """Show all models, and the form for a new one."""
    return _page(request, context, {})


@router.post("")
def create(request: Request, context: ContextDep, form: Posted) -> Response:
    """Add the model of the form, or show the form again with its errors."""
    try:
        api.create_model(_request(form), Response(), context)
    except DealrecError as error:
        raise_into_page(request, error)
        return _page(request, context, form, error)
    return RedirectResponse("/console/models", status_code=303)


@router.post("/{name}/remove")
def remove(request: Request, context: ContextDep, name: str, _form: Posted) -> Response:
    """Take a model out of the catalogue, or say why not."""
    try:
        api.delete_model(name, context)
    except DealrecError as error:
        raise_into_page(request, error)
        return _page(request, context, {}, error)
    return RedirectResponse("/console/models", status_code=303)


def _request(form: Mapping[str, str]) -> LanguageModelCreate:
    given = {name: form.get(name, "").strip() for name, *_ in _INPUTS}
    asked = {name: text for name, text in given.items() if text}
    return request_of(LanguageModelCreate, asked, code="invalid_model")


def _page(
    request: Request,
    context: Context,
    form: Mapping[str, str],
    error: DealrecError | None = None,
) -> Response:
    return render(
        request,
        "models.html",
        status=200 if error is None else status_of(error),
        models=api.list_models(context).data,
        own=own_names(context.tenant_id),
        inputs=_INPUTS,
        form=form,
        problem=error and error.to_problem(),
    )
