"""The pages of adapters."""

import re

from fastapi import APIRouter, Request
from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from dealrec.app.adapters import endpoints as api
from dealrec.app.adapters.repository import AdapterRepository
from dealrec.app.adapters.schemas import Adapter
from dealrec.app.console.datasets import names as dataset_names
from dealrec.app.console.pages import render
from dealrec.app.console.session import Posted
from dealrec.app.jobs.endpoints import get_job
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.downloads import scratch
from dealrec.app.kit.pagination import PageQuery

router = APIRouter(prefix="/console/adapters", include_in_schema=False)
_CARD = "README.md"
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
"""Metadata for model hubs."""
_MARKDOWN = MarkdownIt("commonmark", {"html": False})


@router.get("")
def list_page(request: Request, context: ContextDep, page: PageQuery) -> Response:
    """Show all adapters."""
    adapters, names = api.list_adapters(context, page), dataset_names(context)
    return render(request, "adapters.html", adapters=adapters, names=names)


@router.get("/{adapter_id}")
def adapter_page(request: Request, context: ContextDep, adapter_id: str) -> Response:
    """Show one adapter with its card and its files."""
    adapter = api.get_adapter(adapter_id, context)
    job, card = get_job(adapter.job_id, context), _card(context, adapter)
    return render(request, "adapter.html", adapter=adapter, card=card, job=job)


@router.post("/{adapter_id}/delete")
def delete(context: ContextDep, adapter_id: str, _form: Posted) -> Response:
    """Delete the adapter."""
    api.delete_adapter(adapter_id, context)
    return RedirectResponse("/console/adapters", status_code=303)


def _card(context: Context, adapter: Adapter) -> Markup | None:
    """Render the model card, if the adapter has one; HTML in it stays text."""
    if _CARD not in [file.name for file in adapter.files]:
        return None
    with context.read() as session:
        prefix = AdapterRepository(session, context.tenant_id).get(adapter.id).prefix
    with scratch(context.settings) as folder:
        path = context.storage.fetch_file(f"{prefix}/{_CARD}", folder)
        text = _FRONT_MATTER.sub("", path.read_text(encoding="utf-8"))
    tokens = _MARKDOWN.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"  # below the page's own headings
    return Markup(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))  # noqa: S704
