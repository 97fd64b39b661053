"""The coresets of a tenant."""

from collections.abc import AsyncIterator

from dealrec.client.binding import operation, sequence
from dealrec.client.records import Area, M
from dealrec.client.resources import Coreset, fetch_coreset, listed_coresets


class Coresets(Area[M]):
    """Coresets of this key's tenant."""

    @operation
    async def get(self, identifier: str) -> Coreset[M]:
        """One coreset."""
        return await fetch_coreset(self.transport, identifier)

    @sequence
    async def list(self) -> AsyncIterator[Coreset[M]]:
        """All coresets, newest first; those of a job are :meth:`Job.coresets`."""
        async for coreset in listed_coresets(self.transport, None):
            yield coreset
