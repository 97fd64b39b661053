"""The Python client of the service: :class:`Client`, and :class:`AsyncClient` for event loops.

>>> from dealrec.client import Client
>>> client = Client("http://127.0.0.1:8000")
>>> job = client.prune("interactions.parquet", items="items.parquet", budget=0.02)  # doctest: +SKIP
>>> table = job.wait(progress=True).coreset.to_arrow()  # doctest: +SKIP
"""

from dealrec.client.clients import AsyncClient, Client
from dealrec.client.errors import ApiError

__all__ = ["ApiError", "AsyncClient", "Client"]
