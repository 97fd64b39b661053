"""Lists of the service, fetched page by page."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from dealrec.client.exchange import fetched
from dealrec.client.transport import Transport

_PAGE = 200
"""Entries of a page: the most that the service gives."""


async def listed(
    transport: Transport, path: str, query: Mapping[str, Any] | None = None
) -> AsyncIterator[Any]:
    """Iterate over the list at ``path``; each page is fetched when it is needed."""
    after: str | None = (query or {}).get("after")
    while True:
        page = {**(query or {}), "limit": _PAGE, "after": after}
        body = await fetched(transport, path, page)
        for entry in body["data"]:
            yield entry
        after = body["next"]
        if after is None:
            return
