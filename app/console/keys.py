"""The page of the tenant's keys, for its administrators."""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dealrec.app.console.auth import KEY_COOKIE
from dealrec.app.console.forms import request_of
from dealrec.app.console.pages import raise_into_page, render, set_cookie
from dealrec.app.console.session import Posted
from dealrec.app.keys import endpoints as api
from dealrec.app.keys.schemas import KeyCreate, NewKey
from dealrec.app.kit.caller import Scope
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.errors import status_of
from dealrec.app.kit.pagination import PageQuery, PageRequest
from dealrec.errors import DealrecError

router = APIRouter(prefix="/console/keys", include_in_schema=False)
_FIRST = PageRequest(50, None)
_SCOPE = "scope."
_START = {f"{_SCOPE}{Scope.READ.value}": "1", f"{_SCOPE}{Scope.WRITE.value}": "1"}
_FIRST_KEY = {f"{_SCOPE}{scope.value}": "1" for scope in Scope}


@router.get("")
def list_page(request: Request, context: ContextDep, page: PageQuery) -> Response:
    """Show all keys, and the form for a new one."""
    return _page(request, context, page)


@router.post("")
def create(request: Request, context: ContextDep, form: Posted) -> Response:
    """Create a key, and show its text this one time.

    The browser that made the first key is signed in with it, because from now on one is needed.
    """
    try:
        made = api.create_key(_request(form), Response(), context)
    except DealrecError as error:
        raise_into_page(request, error)
        return _page(request, context, _FIRST, form, error=error)
    answer = _page(request, context, _FIRST, made=made)
    answer.headers["hx-retarget"] = "body"  # the whole page is new, not a part of the form
    if context.caller.key_id is None:
        set_cookie(request, answer, KEY_COOKIE, made.key)
    return answer


@router.post("/{key_id}/revoke")
def revoke(context: ContextDep, key_id: str, _form: Posted) -> Response:
    """Revoke the key; the next request with it is refused."""
    api.revoke_key(key_id, context)
    return RedirectResponse("/console/keys", status_code=303)


def _request(form: Mapping[str, str]) -> KeyCreate:
    asked = {
        "name": form.get("name", ""),
        "scopes": [scope for scope in Scope if f"{_SCOPE}{scope.value}" in form],
        "expires_days": form.get("expires_days", "").strip() or None,
    }
    return request_of(KeyCreate, asked, code="invalid_key")


def _page(
    request: Request,
    context: Context,
    page: PageRequest,
    form: Mapping[str, str] | None = None,
    *,
    made: NewKey | None = None,
    error: DealrecError | None = None,
) -> Response:
    keys = api.list_keys(context, page)
    return render(
        request,
        "keys.html",
        status=200 if error is None else status_of(error),
        keys=keys,
        scopes=list(Scope),
        form=form or (_START if keys.data else _FIRST_KEY),
        made=made,
        problem=error and error.to_problem(),
    )
