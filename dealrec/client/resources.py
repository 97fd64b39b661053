"""Jobs and coresets, in one module because each leads to the other.

A job leaves coresets behind, and a coreset starts jobs that train on it.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from dealrec.client.adapters import Adapter
from dealrec.client.binding import operation, reference, sequence
from dealrec.client.display import job_display
from dealrec.client.downloads import fetch_file
from dealrec.client.errors import ApiError
from dealrec.client.exchange import ask, creating, delete, plain, rename, without_none
from dealrec.client.files import read_parquet
from dealrec.client.records import (
    Budget,
    Coverage,
    Evaluation,
    M,
    OptionNote,
    Stage,
    Target,
    Tracked,
)
from dealrec.client.results import CoresetContents, JobResults
from dealrec.client.transport import Request
from dealrec.client.waiting import until
from dealrec.config import FinetuneConfig
from dealrec.notebook import coreset_facts, facts_html

if TYPE_CHECKING:
    import pyarrow as pa

ENDED = frozenset({"succeeded", "failed", "cancelled"})
RESTS = ENDED | {"paused"}


class Coreset(CoresetContents[M]):
    """A stored selection of samples."""

    place = "/v1/coresets"
    name: str = ""
    job_id: str
    dataset_id: str
    size: int
    selection: Mapping[str, Any]
    sha256: str
    """SHA-256 of the sample keys; equal for coresets with the same members."""
    coverage: Coverage
    warnings: list[OptionNote] = Field(default_factory=list)
    """Options of ``selection`` that had no effect, or for which the coreset is too small."""
    created_at: datetime

    def _repr_html_(self) -> str:
        facts = coreset_facts(
            self.size,
            self.selection.get("method"),
            self.coverage.users,
            self.coverage.items,
            (sum(bool(use.selected) for use in self.coverage.strata), len(self.coverage.strata)),
            self.sha256,
        )
        warned = "; ".join(warning.told for warning in self.warnings) or None
        return facts_html(f"Coreset {self.id}", {**facts, "warnings": warned})

    @operation
    async def to_arrow(self) -> "pa.Table":
        """Fetch the members with their texts and scores."""
        answer = await ask(self.transport, self._as_file("parquet"))
        return await self.transport.call(read_parquet, answer.content)

    @operation
    async def download(
        self,
        path: str | Path,
        *,
        format: str = "jsonl",  # noqa: A002
        configurations: bool = False,
        adapter: str | None = None,
        progress: bool = False,
    ) -> Path:
        """Download the members as a file; ``format`` is a :class:`~dealrec.coresets.formats.CoresetFormat`.

        With ``configurations`` the file is a zip that also contains configurations for TRL, Axolotl and
        LLaMA-Factory. They repeat the fine-tuning of the coreset's job, or of the ``adapter`` with this
        id. ``huggingface`` is always a zip. An interrupted download is resumed where it stopped, and the
        SHA-256 is checked at the end.
        """
        request = self._as_file(format, configurations=configurations or None, adapter_id=adapter)
        return await fetch_file(self.transport, request, path, progress=progress)

    @operation
    async def finetune(
        self,
        config: FinetuneConfig | Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> "Job[M]":
        """Start a job of kind ``finetune`` that trains a LoRA adapter on the coreset."""
        path = f"{self.path}/finetunes"
        return await create_job(self.transport, path, plain(config or {}), idempotency_key)

    @operation
    async def rename(self, name: str) -> "Coreset[M]":
        """Give the coreset another name, and return it with that."""
        return Coreset[M].received(self.transport, await rename(self.transport, self.path, name))

    @operation
    async def delete(self, *, cascade: bool = False) -> None:
        """Delete the coreset; with ``cascade`` also the adapters that were trained on it."""
        await delete(self.transport, self.path, cascade=cascade)

    def _as_file(self, kind: str, **wanted: bool | str | None) -> Request:
        return Request("GET", f"{self.path}/download", {"format": kind, **wanted})


class Job(JobResults[M]):
    """A job as it was when the service was asked; the methods return its newer state."""

    place = "/v1/jobs"
    name: str = ""
    kind: str
    """``prune``, ``select``, ``finetune`` or ``comparison``."""
    metadata: Mapping[str, str] = {}
    dataset_id: str
    source_coreset_id: str | None = None
    state: str
    budget: Budget | None = None
    target: Target | None = None
    """For a job that was given a target instead of a budget."""
    config: Mapping[str, Any]
    continue_from: str | None = None
    continuation: Mapping[str, Any] | None = None
    """The job that this one continues from, and how."""
    schedule_id: str | None = None
    due_at: datetime | None = None
    """The schedule that made the job, and the due time for which it made it."""
    warnings: list[OptionNote] = Field(default_factory=list)
    """Options of ``config`` that have no effect, or for which the budget is too small, and trackers that
    could not be written to."""
    stages: list[Stage]
    coreset_id: str | None = None
    adapter_id: str | None = None
    evaluation: Evaluation | None = None
    """The evaluation of its adapter, if one was requested."""
    tracking: list[Tracked] = Field(default_factory=list)
    """The records of an ended job in the operator's trackers, if there are any."""
    eta_seconds: float | None = None
    error: Mapping[str, Any] | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @operation
    async def wait(self, *, timeout: float | None = None, progress: bool = False) -> "Job[M]":
        """Wait until the job has succeeded or is paused; ``progress`` shows its stages.

        Raises:
            ApiError: The job's ``error`` when it failed, ``job_cancelled``, or ``wait_timed_out``
                after ``timeout`` seconds.
        """
        return await wait_for_job(self.transport, self.id, timeout=timeout, progress=progress)

    @operation
    async def cancel(self) -> "Job[M]":
        """Cancel the job: at once if none of its stages is running, otherwise within seconds."""
        return await _asked(self.transport, self.id, "cancel")

    @operation
    async def pause(self) -> "Job[M]":
        """Pause the job; a running stage keeps its last checkpoint."""
        return await _asked(self.transport, self.id, "pause")

    @operation
    async def resume(self) -> "Job[M]":
        """Resume a paused job."""
        return await _asked(self.transport, self.id, "resume")

    @operation
    async def retry(self) -> "Job[M]":
        """Retry a failed job; its finished stages are kept."""
        return await _asked(self.transport, self.id, "retry")

    @operation
    async def rename(self, name: str) -> "Job[M]":
        """Give the job another name, and return it with that."""
        return Job[M].received(self.transport, await rename(self.transport, self.path, name))

    @operation
    async def delete(self, *, cascade: bool = False) -> None:
        """Delete an ended job with its scores, its coreset and its adapter."""
        await delete(self.transport, self.path, cascade=cascade)

    @reference
    async def coreset(self) -> Coreset[M]:
        """The coreset of a job of kind ``prune`` or ``select``.

        Raises:
            ApiError: ``no_coreset`` when the job has none (yet).
        """
        if self.coreset_id is None:
            raise ApiError(f"{self.id} ({self.state}) has no coreset.", code="no_coreset")
        return await Coreset[M].fetched(self.transport, self.coreset_id)

    @reference
    async def adapter(self) -> Adapter[M]:
        """The adapter of its ``finetune`` stage.

        Raises:
            ApiError: ``no_adapter`` when the job has none (yet).
        """
        if self.adapter_id is None:
            raise ApiError(f"{self.id} ({self.state}) has no adapter.", code="no_adapter")
        return await Adapter[M].fetched(self.transport, self.adapter_id)

    @sequence
    async def coresets(self) -> AsyncIterator[Coreset[M]]:
        """List the coresets that were selected from its scores, newest first."""
        async for coreset in Coreset[M].listed(self.transport, {"job_id": self.id}):
            yield coreset

    @operation
    async def reselect(
        self,
        budget: float | None = None,
        *,
        selection: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        progress: bool = False,
        idempotency_key: str | None = None,
    ) -> Coreset[M]:
        """Select another coreset from the same scores, which takes seconds.

        The budget and the selection options that are left out are those of the job. A selector that needs
        more than the scores runs as a job of its own; the call waits until it ends.
        """
        body = without_none({"budget": budget, "selection": selection})
        path = f"{self.path}/coresets"
        request = creating(path, body, idempotency_key=idempotency_key)
        made = (await ask(self.transport, request)).json()
        if made["object"] == "coreset":
            return Coreset[M].received(self.transport, made)
        job = await wait_for_job(self.transport, made["id"], timeout=timeout, progress=progress)
        return await Job.coreset.function(job)


async def create_job(transport: M, path: str, body: Any, idempotency_key: str | None) -> Job[M]:
    """Send a POST that is answered with a job."""
    request = creating(path, body, idempotency_key=idempotency_key)
    return Job[M].received(transport, (await ask(transport, request)).json())


async def wait_for_job(
    transport: M, identifier: str, *, timeout: float | None, progress: bool
) -> Job[M]:
    """Wait for the job as :meth:`Job.wait` does."""
    with job_display(progress) as show:

        async def looked_at() -> Job[M]:
            job = await Job[M].fetched(transport, identifier)
            show(job.stages)
            return job

        job = await until(
            transport,
            looked_at,
            lambda job: job.state in RESTS,
            what=identifier,
            timeout=timeout,
        )
    if job.state == "failed":
        raise ApiError.of(job.error or {"code": "job_failed", "detail": f"{job.id} failed."})
    if job.state == "cancelled":
        raise ApiError(f"{job.id} was cancelled.", code="job_cancelled", title="Cancelled")
    return job


async def _asked(transport: M, identifier: str, action: str) -> Job[M]:
    return await create_job(transport, f"/v1/jobs/{identifier}/{action}", None, None)
