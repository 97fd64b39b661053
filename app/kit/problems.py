"""RFC 9457 problem documents: the one form of every error that leaves this service."""

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
from dealrec.config.base import plain_message
from dealrec.errors import DealrecError

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
"""By where a body is wrong."""


class ProblemError(BaseModel):
    """One thing that is wrong in the input."""

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


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that may answer with these statuses, besides the usual ones."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}}
        for status in sorted({401, 403, 413, 422, 429, 500, *statuses})
    }


def problem_response(
    problem: Mapping[str, Any], status: int, path: str, headers: Mapping[str, str] | None = None
) -> ProblemResponse:
    """``problem`` with its status and the path that it happened on."""
    body = {**problem, "status": status, "instance": path}
    return ProblemResponse(body, status_code=status, headers=dict(headers or {}))


def error_response(error: DealrecError, path: str) -> ProblemResponse:
    """The answer to any error of this project."""
    status = status_of(error)
    headers = error.headers if isinstance(error, ServiceError) else None
    return problem_response(error.to_problem(), status, path, headers)


def internal_error(path: str) -> ProblemResponse:
    """The answer to an error that nobody foresaw; it says nothing of the inside."""
    error = DealrecError("The server failed. It is logged; the request may be tried again.")
    return problem_response(error.to_problem(), 500, path)


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of ``app`` a problem document."""

    @app.exception_handler(DealrecError)
    async def _ours(request: Request, error: DealrecError) -> ProblemResponse:
        if status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _LOG.error("internal_error", path=request.url.path, exc_info=error)
            return internal_error(request.url.path)
        return error_response(error, request.url.path)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> ProblemResponse:
        if isinstance(error.__cause__, (ValueError, RecursionError)):
            return problem_response(_body_problem(error.__cause__), 422, request.url.path)
        if error.headers and "Allow" in error.headers:
            error.headers = {"allow": ", ".join(_methods(request))}
        phrase = HTTPStatus(error.status_code).phrase
        code = phrase.lower().replace(" ", "_").replace("-", "_").replace("'", "")
        problem = {
            "type": f"urn:dealrec:problem:{code}",
            "title": phrase,
            "detail": str(error.detail),
            "code": code,
        }
        return problem_response(problem, error.status_code, request.url.path, error.headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> ProblemResponse:
        return problem_response(_validation_problem(error), 422, request.url.path)


def _validation_problem(error: RequestValidationError) -> dict[str, Any]:
    found = error.errors()
    first = tuple(found[0]["loc"]) if found else ()
    if found and found[0]["type"] == "json_invalid":
        code, errors = "invalid_json", [{"location": "body", "message": found[0]["ctx"]["error"]}]
    else:
        code = _CODES.get(first[:2], "invalid_request")
        errors = [
            {"location": _location(item["loc"]), "message": plain_message(item["msg"])}
            for item in found
        ]
    return {
        "type": f"urn:dealrec:problem:{code}",
        "title": _TITLES[code],
        "detail": f"{errors[0]['location']}: {errors[0]['message']}."
        if len(errors) == 1
        else f"{len(errors)} fields cannot be used.",
        "code": code,
        "errors": errors,
    }


def _body_problem(cause: Exception) -> dict[str, Any]:
    """A JSON body on which the decoder itself gave up; FastAPI has no words for that."""
    message = "a number has too many digits"
    if isinstance(cause, UnicodeDecodeError):
        message = "not UTF-8"
    elif isinstance(cause, RecursionError):
        message = "nested too deeply"
    return {
        "type": "urn:dealrec:problem:invalid_json",
        "title": _TITLES["invalid_json"],
        "detail": f"body: {message}.",
        "code": "invalid_json",
        "errors": [{"location": "body", "message": message}],
    }


def _methods(request: Request) -> list[str]:
    """Every method that the path has: Starlette names those of the first route that fits."""
    scopes = {method: {**request.scope, "method": method} for method in _METHODS}
    return [
        method
        for method, scope in scopes.items()
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    ]


def _location(path: tuple[int | str, ...]) -> str:
    """``("body", "config", "strata")`` is ``config.strata`` for people; a lone part stays."""
    parts = path[1:] if len(path) > 1 and path[0] in ("body", "query", "path") else path
    return ".".join(str(part) for part in parts)
