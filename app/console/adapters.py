"""Pages of adapters."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.adapters import endpoints as api
from app.adapters.repository import AdapterRepository
from app.adapters.schemas import Adapter
from app.console.pages import render
from app.kit.context import Context, ContextDep
from app.kit.downloads import scratch
from app.kit.pagination import PageQuery

router = APIRouter(prefix="/console/adapters", include_in_schema=False)
_CARD = "README.md"


@router.get("")
def list_page(request: Request, context: ContextDep, page: PageQuery) -> Response:
    """All adapters."""
    return render(request, "adapters.html", adapters=api.list_adapters(context, page))


@router.get("/{adapter_id}")
def adapter_page(request: Request, context: ContextDep, adapter_id: str) -> Response:
    """One adapter, with its card and its files."""
    adapter = api.get_adapter(adapter_id, context)
    return render(request, "adapter.html", adapter=adapter, card=_card(context, adapter))


def _card(context: Context, adapter: Adapter) -> str | None:
    """The text of the model card, if the adapter has one."""
    if _CARD not in [file.name for file in adapter.files]:
        return None
    with context.read() as session:
        prefix = AdapterRepository(session, context.tenant_id).get(adapter.id).prefix
    with scratch(context.settings) as folder:
        path = context.storage.fetch_file(f"{prefix}/{_CARD}", folder)
        return path.read_text(encoding="utf-8")
