"""Sign-in with a key, and the check that a form came from the console."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from dealrec.app.console.auth import CSRF_HEADER, KEY_COOKIE, SIGN_IN, is_console, same_token
from dealrec.app.console.pages import raise_into_page, render, set_cookie
from dealrec.app.keys.service import authenticate
from dealrec.app.kit.errors import PermissionDenied, Unauthenticated

router = APIRouter(prefix="/console", include_in_schema=False)


async def _posted(request: Request) -> dict[str, str]:
    """Return the form's fields after checking that the console's own page sent them.

    Raises :class:`PermissionDenied` (``foreign_form``).
    """
    form = await request.form()
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    token = request.headers.get(CSRF_HEADER) or fields.pop("csrf", None)
    fields.pop("csrf", None)
    origin = request.headers.get("origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if foreign or not same_token(request.cookies, token):
        raise PermissionDenied(
            "The form did not come from this console, or the page is too old. Send it again. If that "
            "does not help, reload the page.",
            code="foreign_form",
            title="The form was refused",
        )
    return fields


Posted = Annotated[dict[str, str], Depends(_posted)]


@router.get("/sign-in")
def sign_in_page(request: Request, next: str = "/") -> Response:  # noqa: A002
    """Show the form that asks for a key."""
    return render(request, "sign_in.html", next=next, problem=None)


@router.post("/sign-in")
async def sign_in(request: Request, form: Posted) -> Response:
    """Store a valid key in the browser's cookie."""
    state: Any = request.app.state
    key, target = form.get("key", "").strip(), form.get("next", "/")
    try:
        await run_in_threadpool(
            authenticate, state.database, state.settings, f"Bearer {key}", needed=True
        )
    except Unauthenticated:
        error = Unauthenticated("This key is unknown, has expired or was revoked.")
        raise_into_page(request, error)
        return render(request, "sign_in.html", 401, next=target, problem=error.to_problem())
    # Only paths of the console are allowed; `//elsewhere` would be another site.
    answer = RedirectResponse(target if is_console(target) else "/", status_code=303)
    if key:
        set_cookie(request, answer, KEY_COOKIE, key)
    return answer


@router.post("/sign-out")
def sign_out(_form: Posted) -> Response:
    """Forget the key."""
    answer = RedirectResponse(SIGN_IN, status_code=303)
    answer.delete_cookie(KEY_COOKIE)
    return answer
