"""The names of data sets, jobs, coresets and adapters, which people may change."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from dealrec.app.adapters.endpoints import rename_adapter
from dealrec.app.console.session import Posted
from dealrec.app.coresets.endpoints import rename_coreset
from dealrec.app.datasets.endpoints import rename_dataset
from dealrec.app.jobs.endpoints import rename_job
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.errors import NotFound
from dealrec.app.naming import LONGEST, Rename
from dealrec.errors import FieldError, InputError

router = APIRouter(prefix="/console", include_in_schema=False)
_RENAMES: dict[str, Callable[[str, Rename, Context], Any]] = {
    "datasets": rename_dataset,
    "jobs": rename_job,
    "coresets": rename_coreset,
    "adapters": rename_adapter,
}


@router.post("/{area}/{identifier}/name")
def rename(context: ContextDep, area: str, identifier: str, form: Posted) -> Response:
    """Give something another name, and show its page with that."""
    if area not in _RENAMES:
        raise NotFound.of("kind of thing", area)
    try:
        body = Rename(name=form.get("name", ""))
    except ValidationError:
        raise InputError(
            f"A name must have 1 to {LONGEST} characters.",
            code="invalid_name",
            title="The name cannot be used",
            errors=[FieldError("name", f"must have 1 to {LONGEST} characters")],
        ) from None
    _RENAMES[area](identifier, body, context)
    return RedirectResponse(f"/console/{area}/{identifier}", status_code=303)
