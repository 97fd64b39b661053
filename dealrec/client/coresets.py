"""The coresets of a tenant."""

from collections.abc import AsyncIterator

from dealrec.client.binding import operation, sequence
from dealrec.client.records import Area, M
from dealrec.client.resources import Coreset


class Coresets(Area[M]):
    """The coresets of the key's tenant."""

    @operation
    async def get(self, identifier: str) -> Coreset[M]:
        """Fetch one coreset."""
        return await Coreset[M].fetched(self.transport, identifier)

    @sequence
    async def list(self) -> AsyncIterator[Coreset[M]]:
        """List all coresets, newest first; :meth:`Job.coresets` lists those of a job."""
        async for coreset in Coreset[M].listed(self.transport):
            yield coreset
