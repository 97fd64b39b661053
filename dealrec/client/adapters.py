"""LoRA adapters that were trained on coresets."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dealrec.client.binding import operation, sequence
from dealrec.client.downloads import fetch_file
from dealrec.client.exchange import delete, rename
from dealrec.client.records import AdapterFile, Area, M, Remote
from dealrec.client.transport import Request

_MERGING_SECONDS = 3600.0
"""The server gives up a merge after half an hour, and another one may be made before."""


class Adapter(Remote[M]):
    """A LoRA adapter."""

    place = "/v1/adapters"
    name: str = ""
    job_id: str
    dataset_id: str
    coreset_id: str
    model: str
    revision: str | None = None
    config: Mapping[str, Any]
    metrics: Mapping[str, float]
    files: list[AdapterFile]
    created_at: datetime

    @operation
    async def download(self, path: str | Path, *, progress: bool = False) -> Path:
        """Download the PEFT folder as a zip; ``PeftModel.from_pretrained`` loads it once unpacked.

        An interrupted download is resumed where it stopped, and the SHA-256 is checked at the end.
        """
        request = Request("GET", f"{self.path}/download")
        return await fetch_file(self.transport, request, path, progress=progress)

    @operation
    async def download_merged(self, path: str | Path, *, progress: bool = False) -> Path:
        """Download the language model with the adapter merged into its weights, as a zip.

        The server merges it for each request, one at a time, which takes minutes for a large model. The
        client waits up to an hour for the response, whatever its ``timeout`` is.
        """
        request = Request("GET", f"{self.path}/merged", silence=_MERGING_SECONDS)
        return await fetch_file(self.transport, request, path, progress=progress)

    @operation
    async def download_file(self, name: str, path: str | Path, *, progress: bool = False) -> Path:
        """Download one of the adapter's ``files``, in the same way as :meth:`download`."""
        request = Request("GET", f"{self.path}/files/{quote(name, safe='')}")
        return await fetch_file(self.transport, request, path, progress=progress)

    @operation
    async def rename(self, name: str) -> "Adapter[M]":
        """Give the adapter another name, and return it with that."""
        return Adapter[M].received(self.transport, await rename(self.transport, self.path, name))

    @operation
    async def delete(self) -> None:
        """Delete the adapter."""
        await delete(self.transport, self.path)


class Adapters(Area[M]):
    """The adapters of the key's tenant."""

    @operation
    async def get(self, identifier: str) -> Adapter[M]:
        """Fetch one adapter."""
        return await Adapter[M].fetched(self.transport, identifier)

    @sequence
    async def list(self) -> AsyncIterator[Adapter[M]]:
        """List all adapters, newest first."""
        async for adapter in Adapter[M].listed(self.transport):
            yield adapter
