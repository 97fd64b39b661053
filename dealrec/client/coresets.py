"""Coresets: their samples, why they are in, and what is trained on them."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dealrec.client.binding import operation, sequence
from dealrec.client.downloads import fetch_file
from dealrec.client.exchange import ask, delete
from dealrec.client.files import read_parquet
from dealrec.client.lists import listed
from dealrec.client.records import (
    Area,
    CoresetDiff,
    CoresetSample,
    Coverage,
    Explanation,
    M,
    Remote,
)
from dealrec.client.transport import Request
from dealrec.config import FinetuneConfig

if TYPE_CHECKING:
    import pyarrow as pa

    from dealrec.client.job import Job


class Coreset(Remote[M]):
    """A selection that is kept."""

    id: str
    job_id: str
    dataset_id: str
    size: int
    selection: Mapping[str, Any]
    sha256: str
    """Over the sample keys: equal where the members are."""
    coverage: Coverage
    created_at: datetime

    @operation
    async def to_arrow(self) -> "pa.Table":
        """The members with their texts and scores."""
        answer = await ask(self.transport, self._as_file("parquet"))
        return await self.transport.call(read_parquet, answer.content)

    @operation
    async def download(
        self,
        path: str | Path,
        *,
        format: str = "jsonl",  # noqa: A002
        progress: bool = False,
    ) -> Path:
        """The members as a file: ``jsonl``, ``parquet``, ``csv`` or ``alpaca``.

        Goes on where an earlier attempt stopped, and checks the SHA-256.
        """
        return await fetch_file(self.transport, self._as_file(format), path, progress=progress)

    @sequence
    async def samples(self) -> AsyncIterator[CoresetSample]:
        """The members one after the other, in dense order."""
        async for entry in listed(self.transport, f"/v1/coresets/{self.id}/samples"):
            yield CoresetSample.model_validate(entry)

    @operation
    async def manifest(self) -> dict[str, Any]:
        """What it was made from, and how: enough to make it again."""
        answer = await ask(self.transport, Request("GET", f"/v1/coresets/{self.id}/manifest"))
        found: dict[str, Any] = answer.json()
        return found

    @operation
    async def download_report(self, path: str | Path) -> Path:
        """A self-contained page: how the scores are spread, what was chosen."""
        request = Request("GET", f"/v1/coresets/{self.id}/report")
        return await fetch_file(self.transport, request, path)

    @operation
    async def explain(self, sample_key: str) -> Explanation:
        """Why a sample is in, or why not."""
        path = f"/v1/coresets/{self.id}/explanation"
        answer = await ask(self.transport, Request("GET", path, {"sample_key": sample_key}))
        return Explanation.model_validate(answer.json())

    @operation
    async def diff(self, against: str) -> CoresetDiff:
        """What it has that the coreset of id ``against`` has not, and the other way round."""
        path = f"/v1/coresets/{self.id}/diff"
        answer = await ask(self.transport, Request("GET", path, {"against": against}))
        return CoresetDiff.model_validate(answer.json())

    @operation
    async def finetune(
        self,
        config: FinetuneConfig | Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> "Job[M]":
        """Train a LoRA adapter on it: a job of kind ``finetune``."""
        from dealrec.client.job import create_job, plain

        path = f"/v1/coresets/{self.id}/finetunes"
        return await create_job(self.transport, path, plain(config or {}), idempotency_key)

    @operation
    async def delete(self, *, cascade: bool = False) -> None:
        """Delete it; with ``cascade``, what was trained on it as well."""
        await delete(self.transport, f"/v1/coresets/{self.id}", cascade=cascade)

    def _as_file(self, kind: str) -> Request:
        return Request("GET", f"/v1/coresets/{self.id}/download", {"format": kind})


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


async def fetch_coreset(transport: M, identifier: str) -> Coreset[M]:
    """The coreset as it is kept."""
    answer = await ask(transport, Request("GET", f"/v1/coresets/{identifier}"))
    return Coreset[M].said(transport, answer.json())


async def listed_coresets(transport: M, job_id: str | None) -> AsyncIterator[Coreset[M]]:
    """All coresets, or those of a job."""
    async for entry in listed(transport, "/v1/coresets", {"job_id": job_id}):
        yield Coreset[M].said(transport, entry)
