"""The Python client of the service: :class:`Client`, and :class:`AsyncClient` for event loops.

Importing this package loads nothing heavy: a client is imported when its name is first used.

Examples:
    >>> from dealrec.client import Client
    >>> client = Client("http://127.0.0.1:8000")
    >>> job = client.prune("interactions.parquet", budget=0.02)  # doctest: +SKIP
    >>> table = job.wait(progress=True).coreset.to_arrow()  # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

__all__ = ["ApiError", "AsyncClient", "Client"]

if TYPE_CHECKING:
    from dealrec.client.clients import AsyncClient, Client
    from dealrec.client.errors import ApiError


def __getattr__(name: str) -> Any:
    if name in ("AsyncClient", "Client"):
        from dealrec.client import clients

        return getattr(clients, name)
    if name == "ApiError":
        from dealrec.client.errors import ApiError

        return ApiError
    raise AttributeError(f"module 'dealrec.client' has no attribute {name!r}")
