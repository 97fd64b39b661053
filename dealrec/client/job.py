"""A job: watched, steered, and what it leaves behind."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from dealrec.client.adapters import Adapter, fetch_adapter
from dealrec.client.binding import operation, reference, sequence
from dealrec.client.coresets import Coreset, fetch_coreset, listed_coresets
from dealrec.client.display import job_display
from dealrec.client.downloads import fetch_file
from dealrec.client.errors import ApiError
from dealrec.client.exchange import ask, creating, delete, without_none
from dealrec.client.files import read_parquet
from dealrec.client.lists import listed
from dealrec.client.records import (
    Budget,
    Event,
    Histogram,
    M,
    Remote,
    Stage,
    SweepPoint,
)
from dealrec.client.stream import followed
from dealrec.client.transport import Request
from dealrec.client.waiting import until

if TYPE_CHECKING:
    import pyarrow as pa

ENDED = frozenset({"succeeded", "failed", "cancelled"})
RESTS = ENDED | {"paused"}


class Job(Remote[M]):
    """A job as it was when the service was asked; the methods give it as it is then."""

    id: str
    kind: str
    """``prune``, ``select``, ``finetune`` or ``comparison``."""
    metadata: Mapping[str, str] = {}
    dataset_id: str
    source_coreset_id: str | None = None
    state: str
    budget: Budget | None = None
    config: Mapping[str, Any]
    stages: list[Stage]
    coreset_id: str | None = None
    adapter_id: str | None = None
    evaluation: Mapping[str, Any] | None = None
    """What its adapter was measured to do, where that was asked for."""
    eta_seconds: float | None = None
    error: Mapping[str, Any] | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @operation
    async def wait(self, *, timeout: float | None = None, progress: bool = False) -> "Job[M]":
        """The job once it has succeeded, or rests because somebody paused it.

        ``progress`` shows its stages on standard error. Raises :class:`ApiError` with the job's
        ``error`` where it failed, ``job_cancelled``, and ``wait_timed_out``.
        """
        return await wait_for_job(self.transport, self.id, timeout=timeout, progress=progress)

    @operation
    async def cancel(self) -> "Job[M]":
        """Stop it: at once where nothing of it runs, else within seconds."""
        return await _asked(self.transport, self.id, "cancel")

    @operation
    async def pause(self) -> "Job[M]":
        """Let it rest; what runs keeps its last checkpoint."""
        return await _asked(self.transport, self.id, "pause")

    @operation
    async def resume(self) -> "Job[M]":
        """Go on with it where it was paused."""
        return await _asked(self.transport, self.id, "resume")

    @operation
    async def retry(self) -> "Job[M]":
        """Try a failed one again; finished stages are kept."""
        return await _asked(self.transport, self.id, "retry")

    @operation
    async def delete(self, *, cascade: bool = False) -> None:
        """Delete an ended job with its scores, its coreset and its adapter."""
        await delete(self.transport, f"/v1/jobs/{self.id}", cascade=cascade)

    @sequence
    async def events(self, after: int = 0) -> AsyncIterator[Event]:
        """What has happened to it, oldest first, after the event of that ``sequence``."""
        path = f"/v1/jobs/{self.id}/events"
        async for entry in listed(self.transport, path, {"after": str(after)}):
            yield Event.model_validate(entry)

    @sequence
    async def follow(self, after: int = 0) -> AsyncIterator[Event]:
        """What happens to it, as it happens, until it has ended; a lost connection loses none."""
        async for event in followed(self.transport, f"/v1/jobs/{self.id}/events", after):
            yield event

    @reference
    async def coreset(self) -> Coreset[M]:
        """What a job of kind ``prune`` or ``select`` has made; ``no_coreset`` before that."""
        if self.coreset_id is None:
            raise ApiError(f"{self.id} is {self.state}: it has no coreset.", code="no_coreset")
        return await fetch_coreset(self.transport, self.coreset_id)

    @reference
    async def adapter(self) -> Adapter[M]:
        """What its ``finetune`` stage has made; ``no_adapter`` before that."""
        if self.adapter_id is None:
            raise ApiError(f"{self.id} is {self.state}: it has no adapter.", code="no_adapter")
        return await fetch_adapter(self.transport, self.adapter_id)

    @sequence
    async def coresets(self) -> AsyncIterator[Coreset[M]]:
        """All that was selected from its scores, newest first."""
        async for coreset in listed_coresets(self.transport, self.id):
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
        """Another coreset from the same scores, in seconds; what is left out is the job's.

        A selector that looks at more than scores is a job of its own, which is waited for.
        """
        body = without_none({"budget": budget, "selection": selection})
        path = f"/v1/jobs/{self.id}/coresets"
        request = creating(path, body, idempotency_key=idempotency_key)
        made = (await ask(self.transport, request)).json()
        if made["object"] == "coreset":
            return Coreset[M].said(self.transport, made)
        job = await wait_for_job(self.transport, made["id"], timeout=timeout, progress=progress)
        return await Job.coreset.function(job)

    @operation
    async def budget_sweep(self, budgets: Sequence[float]) -> list[SweepPoint]:
        """What its selection would hold at other budgets; no coreset is stored."""
        query = {"budgets": ",".join(f"{budget}" for budget in budgets)}
        answer = await ask(
            self.transport, Request("GET", f"/v1/jobs/{self.id}/budget-sweep", query)
        )
        return [SweepPoint.model_validate(point) for point in answer.json()["data"]]

    @operation
    async def scores(self) -> "pa.Table":
        """Every sample's ``influence``, ``effort``, ``overall``, ``stratum`` and ``selected``."""
        path = f"/v1/jobs/{self.id}/scores/download"
        answer = await ask(self.transport, Request("GET", path, {"format": "parquet"}))
        return await self.transport.call(read_parquet, answer.content)

    @operation
    async def download_scores(
        self,
        path: str | Path,
        *,
        format: str = "parquet",  # noqa: A002
        progress: bool = False,
    ) -> Path:
        """The same as a file: ``parquet`` or ``csv``."""
        request = Request("GET", f"/v1/jobs/{self.id}/scores/download", {"format": format})
        return await fetch_file(self.transport, request, path, progress=progress)

    @operation
    async def histogram(self, score: str = "overall", bins: int = 50) -> Histogram:
        """How a score is spread, over all samples and over those that it selected."""
        path = f"/v1/jobs/{self.id}/scores/histogram"
        answer = await ask(self.transport, Request("GET", path, {"score": score, "bins": bins}))
        return Histogram.model_validate(answer.json())

    @operation
    async def report(self) -> dict[str, Any]:
        """What a job of kind ``comparison`` has found."""
        answer = await ask(self.transport, self._report_as("json"))
        found: dict[str, Any] = answer.json()
        return found

    @operation
    async def download_report(
        self,
        path: str | Path,
        *,
        format: str = "html",  # noqa: A002
    ) -> Path:
        """The same as a page (``html``), as ``json``, or the figures behind it (``parquet``)."""
        return await fetch_file(self.transport, self._report_as(format), path)

    def _report_as(self, kind: str) -> Request:
        return Request("GET", f"/v1/jobs/{self.id}/report", {"format": kind})


def plain(config: BaseModel | Mapping[str, Any]) -> dict[str, Any]:
    """What the caller set, as JSON."""
    if isinstance(config, BaseModel):
        return config.model_dump(mode="json", exclude_unset=True)
    copied: dict[str, Any] = json.loads(json.dumps(dict(config)))
    return copied


async def create_job(transport: M, path: str, body: Any, idempotency_key: str | None) -> Job[M]:
    """The job that a POST answers."""
    request = creating(path, body, idempotency_key=idempotency_key)
    return Job[M].said(transport, (await ask(transport, request)).json())


async def fetch_job(transport: M, identifier: str) -> Job[M]:
    """The job as it is now."""
    answer = await ask(transport, Request("GET", f"/v1/jobs/{identifier}"))
    return Job[M].said(transport, answer.json())


async def wait_for_job(
    transport: M, identifier: str, *, timeout: float | None, progress: bool
) -> Job[M]:
    """As :meth:`Job.wait`."""
    with job_display(progress) as show:

        async def looked_at() -> Job[M]:
            job = await fetch_job(transport, identifier)
            show(job)
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
