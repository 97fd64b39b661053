"""RFC 9457 problem documents, the form of every error that leaves this service."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.routing import Match

from dealrec.app.kit.errors import ServiceError, status_of
from dealrec.config.catalogue import InvalidCatalogue
from dealrec.config.wording import field_errors, sentence
from dealrec.errors import DealrecError, FieldError, InputError

MEDIA_TYPE = "application/problem+json"
_LOG = structlog.get_logger("dealrec.problems")
_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
_TITLES = {
    "invalid_config": "The configuration cannot be used",
    "invalid_budget": "The budget cannot be used",
    "invalid_json": "The body is not JSON",
    "invalid_request": "The request cannot be used",
}

_CODES: dict[tuple[int | str, ...], str] = {
    ("body", "config"): "invalid_config",
    ("body", "selectors"): "invalid_config",
    ("body", "budget"): "invalid_budget",
    ("body", "budgets"): "invalid_budget",
}
"""The code for a fault at a place in the body."""


class ProblemError(BaseModel):
    """One fault in the input."""

    location: str
    message: str


class Problem(BaseModel):
    """An error (RFC 9457). ``code`` is stable; further members depend on it."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[ProblemError] | None = None


class ProblemResponse(JSONResponse):
    """A problem document."""

    media_type = MEDIA_TYPE


def documented(*statuses: int) -> dict[int | str, dict[str, object]]:
    """Describe the ``responses`` of a route that may answer with these statuses and the usual ones."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}}
        for status in sorted({401, 403, 413, 422, 429, 500, *statuses})
    }


def problem_response(
    problem: Mapping[str, object], status: int, path: str, headers: Mapping[str, str] | None = None
) -> ProblemResponse:
    """Answer with ``problem``, its status and the path of the request."""
    body = {**problem, "status": status, "instance": path}
    return ProblemResponse(body, status_code=status, headers=dict(headers or {}))


def error_response(error: DealrecError, path: str) -> ProblemResponse:
    """Make the answer to any error of this project."""
    status = status_of(error)
    headers = error.headers if isinstance(error, ServiceError) else None
    return problem_response(error.to_problem(), status, path, headers)


def internal_error(path: str) -> ProblemResponse:
    """Make the answer to an unexpected error, without its details."""
    error = DealrecError(
        "An unexpected error occurred on the server and was logged. You can try the request again; if "
        "it fails again, tell the operator its time or the request id."
    )
    return problem_response(error.to_problem(), 500, path)


def install_problem_handlers(app: FastAPI) -> None:
    """Turn every error of ``app`` into a problem document."""

    @app.exception_handler(DealrecError)
    async def _ours(request: Request, error: DealrecError) -> ProblemResponse:
        if status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _LOG.error("internal_error", path=request.url.path, exc_info=error)
            if not isinstance(error, InvalidCatalogue):  # which says what its operator has to mend
                return internal_error(request.url.path)
        return error_response(error, request.url.path)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> ProblemResponse:
        if isinstance(error.__cause__, (ValueError, RecursionError)):
            return error_response(_unreadable_body(error.__cause__), request.url.path)
        if error.headers and "Allow" in error.headers:
            error.headers = {"allow": ", ".join(_methods(request))}
        phrase = HTTPStatus(error.status_code).phrase
        code = phrase.lower().replace(" ", "_").replace("-", "_").replace("'", "")
        problem = DealrecError(str(error.detail), code=code, title=phrase).to_problem()
        return problem_response(problem, error.status_code, request.url.path, error.headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> ProblemResponse:
        body = getattr(request.scope.get("route"), "body_field", None)
        model = None if body is None else body.field_info.annotation
        return error_response(_invalid_request(error, model), request.url.path)


def _invalid_request(error: RequestValidationError, model: Any) -> InputError:
    """Say which fields of the request cannot be used; ``model`` is the type of its body."""
    found = error.errors()
    if found and found[0]["type"] == "json_invalid":
        return _invalid_json(found[0]["ctx"]["error"])
    first = tuple(found[0]["loc"]) if found else ()
    parts: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for item in found:
        path = tuple(item["loc"])
        parts[path[:1] == ("body",)].append({**item, "loc": _inside(path)})
    errors = field_errors(parts[True], "", model) + field_errors(parts[False], "")
    return _refused(_CODES.get(first[:2], "invalid_request"), errors)


def _inside(path: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Leave out where in the request a field is, unless there is nothing else to name."""
    return path[1:] if len(path) > 1 and path[0] in ("body", "query", "path") else path


def _unreadable_body(cause: Exception) -> InputError:
    """Explain why the JSON decoder gave up on the body, which FastAPI does not."""
    if isinstance(cause, UnicodeDecodeError):
        return _invalid_json("not UTF-8")
    if isinstance(cause, RecursionError):
        return _invalid_json("nested too deeply")
    return _invalid_json("a number has too many digits")


def _invalid_json(message: str) -> InputError:
    return _refused("invalid_json", [FieldError("body", message)])


def _refused(code: str, errors: list[FieldError]) -> InputError:
    detail = f"{len(errors)} fields cannot be used."
    if len(errors) == 1:
        detail = sentence(errors[0])
    return InputError(detail, code=code, title=_TITLES[code], errors=errors)


def _methods(request: Request) -> list[str]:
    """Return every method of the path; Starlette names only those of the first matching route."""
    scopes = {method: {**request.scope, "method": method} for method in _METHODS}
    return [
        method
        for method, scope in scopes.items()
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    ]
