"""The coresets of a tenant."""

from collections.abc import AsyncIterator

from dealrec.client.binding import operation, sequence
from dealrec.client.records import Area, M
from dealrec.client.resources import Coreset, fetch_coreset, listed_coresets


class Coresets(Area[M]):
    """The coresets of the key's tenant."""

    @operation
    async def get(self, identifier: str) -> Coreset[M]:
        """Fetch one coreset."""
        return await fetch_coreset(self.transport, identifier)

    @sequence
    async def list(self) -> AsyncIterator[Coreset[M]]:
        """List all coresets, newest first; :meth:`Job.coresets` lists those of a job."""
        async for coreset in listed_coresets(self.transport, None):
            yield coreset
