"""Templates, and the filters that format numbers, times and states in them."""

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.templating import Jinja2Templates
from markupsafe import Markup, escape
from starlette.responses import Response

from dealrec.app.jobs.schemas import Evaluation
from dealrec.app.kit.caller import Caller, Scope
from dealrec.config.selectors import SELECTORS
from dealrec.config.stages import STAGES, StageName
from dealrec.data.findings import TimeSpan
from dealrec.data.synonyms import SYNONYMS
from dealrec.data.times import TimeUnit, date_of
from dealrec.errors import DealrecError
from dealrec.version import __version__

FOLDER = Path(__file__).parent
_CSRF_COOKIE = "dealrec_csrf"
_MINUTE, _HOUR = 60, 3600


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}"


def _size(value: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)} min {int(seconds % _MINUTE)} s"
    return f"{int(seconds // _HOUR)} h {int(seconds % _HOUR // _MINUTE)} min"


def _moment(value: datetime | None) -> str:
    return "–" if value is None else value.strftime("%Y-%m-%d %H:%M")


_SPANS = ((86400, "day"), (3600, "hour"), (60, "minute"))
_OLD_SECONDS = 30 * 86400


def _ago(value: datetime) -> str:
    """Say how long ago a time is; one that is months ago is its date."""
    seconds = max(0.0, (datetime.now(UTC) - value).total_seconds())
    if seconds > _OLD_SECONDS:
        return value.strftime("%Y-%m-%d")
    for length, unit in _SPANS:
        count = int(seconds // length)
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def _metric(value: float | None, name: str) -> str:
    """Format a measured value in the unit that its name ends with."""
    if value is None:
        return "–"
    if name.endswith("_bytes"):
        return _size(value)
    return _duration(value) if name.endswith("_seconds") else _number(value)


def _coded(text: str) -> Markup:
    """Escape a sentence and set what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704


def _reading(said: Sequence[str]) -> str:
    """Say how a file was read; what its columns are called is said elsewhere."""
    return "; ".join(one for one in said if not one.startswith("`"))


def _words(name: str) -> str:
    """Turn a name into words, without the unit that :func:`_metric` writes."""
    return re.sub(r"_(bytes|seconds)$", "", name).replace("_", " ")


def _stage(name: str) -> str:
    """Give the title that people read in place of a stage's name."""
    return STAGES[StageName(name)].title


def _option(selection: Mapping[str, Any], name: str) -> str:
    """Format an option that the selection's method reads; an ignored option is a dash."""
    read = name in SELECTORS[selection["method"]].parameters
    return _number(selection[name]) if read else "–"


def _selection(selection: Mapping[str, Any]) -> str:
    """Describe the method, with λ and K if it reads them."""
    options = {"λ": _option(selection, "effort_weight"), "K": _option(selection, "strata")}
    read = [f"{name} {value}" for name, value in options.items() if value != "–"]
    return ", ".join([str(selection["method"]), *read])


_RANKED = re.compile(r"(?:recall|ndcg)@(\d+)")


def _metrics_apart(
    evaluation: Evaluation,
) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """Give the metrics of all asked users, and those of the users for whom the catalogue was ranked."""
    found = list(evaluation.metrics.items())
    ranked = [metric for metric in found if _RANKED.fullmatch(metric[0])]
    return [metric for metric in found if metric not in ranked], ranked


def _any_ranked(evaluation: Evaluation) -> bool:
    """Whether any user's item was found by the ranking, with or without the adapter."""
    names = [name for name, _ in _metrics_apart(evaluation)[1]]
    return any(evaluation.metrics[name] or evaluation.untrained.get(name) for name in names)


def _cutoff(name: str) -> int:
    """The number of places that a ranking metric looks at."""
    found = _RANKED.fullmatch(name)
    assert found is not None
    return int(found[1])


def _span(times: TimeSpan) -> str:
    """Write the first and the last time of a data set as dates, or as the numbers that they are."""
    unit = TimeUnit(times["unit"]) if times["unit"] else None
    return " to ".join(date_of(time, unit) for time in (times["first"], times["last"]))


templates = Jinja2Templates(directory=FOLDER / "templates")
templates.env.filters.update(
    number=_number,
    size=_size,
    duration=_duration,
    moment=_moment,
    ago=_ago,
    metric=_metric,
    words=_words,
    reading=_reading,
    coded=_coded,
    stage=_stage,
    option=_option,
    selection=_selection,
    span=_span,
    metrics_apart=_metrics_apart,
    any_ranked=_any_ranked,
    cutoff=_cutoff,
)
templates.env.globals["known_columns"] = {
    column.value: [*names] for column, names in SYNONYMS.items()
}
templates.env.globals["counted"] = {
    "samples_per_user": "samples, one per user",
    "samples_per_interaction": "samples, one per interaction",
}
"""What counts of data sets are called, where the words of the name would say something else."""
templates.env.trim_blocks = templates.env.lstrip_blocks = True


def render(request: Request, name: str, status: int = 200, **context: Any) -> Response:
    """Render the template as an answer, with the token for its forms."""
    token = request.cookies.get(_CSRF_COOKIE) or secrets.token_urlsafe(32)
    context |= {
        "csrf": token,
        "version": __version__,
        "signed_in": "dealrec_key" in request.cookies,
        "path": request.url.path,
        "may_write": _has_scope(request, Scope.WRITE),
        "may_administer": _has_scope(request, Scope.ADMIN),
    }
    answer = templates.TemplateResponse(request, name, context, status_code=status)
    answer.headers["cache-control"] = "no-store"
    if _CSRF_COOKIE not in request.cookies:
        set_cookie(request, answer, _CSRF_COOKIE, token)
    return answer


def _has_scope(request: Request, scope: Scope) -> bool:
    """Whether the caller's key has the scope; true before it is known who calls."""
    caller: Caller | None = getattr(request.state, "caller", None)
    return caller is None or scope in caller.scopes


def set_cookie(request: Request, answer: Response, name: str, value: str) -> None:
    """Set a session cookie that no script and no other site can use."""
    secure = request.url.scheme == "https"
    answer.set_cookie(name, value, httponly=True, samesite="strict", secure=secure)


def asks_for_part(request: Request) -> bool:
    """Whether HTMX asks, which puts the answer into the page that is open."""
    return "hx-request" in request.headers


def raise_into_page(request: Request, error: DealrecError) -> None:
    """Raise ``error`` if the form is still open in the browser, which then shows the problem alone."""
    if asks_for_part(request):
        raise error


def render_problem(request: Request, problem: Mapping[str, Any]) -> Response:
    """Render a problem document as a page, or as a part of one if HTMX asked for it."""
    name = "parts/problem.html" if asks_for_part(request) else "problem.html"
    return render(request, name, int(problem["status"]), problem=problem)
