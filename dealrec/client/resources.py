"""Jobs and coresets, in one module because each leads to the other.

A job leaves coresets behind, and a coreset starts jobs that train on it.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dealrec.client.adapters import Adapter, fetch_adapter
from dealrec.client.binding import operation, reference, sequence
from dealrec.client.display import job_display
from dealrec.client.downloads import fetch_file
from dealrec.client.errors import ApiError
from dealrec.client.exchange import ask, creating, delete, plain, without_none
from dealrec.client.files import read_parquet
from dealrec.client.lists import listed
from dealrec.client.records import (
    Budget,
    CoresetDiff,
    CoresetSample,
    Coverage,
    Evaluation,
    Event,
    Explanation,
    Histogram,
    M,
    Remote,
    Stage,
    SweepPoint,
)
from dealrec.client.stream import followed
from dealrec.client.transport import Request
from dealrec.client.waiting import until
from dealrec.config import FinetuneConfig

if TYPE_CHECKING:
    import pyarrow as pa

ENDED = frozenset({"succeeded", "failed", "cancelled"})
RESTS = ENDED | {"paused"}


class Coreset(Remote[M]):
    """A selection that is kept."""

    id: str
    object: str
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
        path = f"/v1/coresets/{self.id}/finetunes"
        return await create_job(self.transport, path, plain(config or {}), idempotency_key)

    @operation
    async def delete(self, *, cascade: bool = False) -> None:
        """Delete it; with ``cascade``, what was trained on it as well."""
        await delete(self.transport, f"/v1/coresets/{self.id}", cascade=cascade)

    def _as_file(self, kind: str) -> Request:
        return Request("GET", f"/v1/coresets/{self.id}/download", {"format": kind})


class Job(Remote[M]):
    """A job as it was when the service was asked; the methods give it as it is then."""

    id: str
    object: str
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
    evaluation: Evaluation | None = None
    """The measurements of its adapter, where they were asked for."""
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


async def fetch_coreset(transport: M, identifier: str) -> Coreset[M]:
    """The coreset as it is kept."""
    answer = await ask(transport, Request("GET", f"/v1/coresets/{identifier}"))
    return Coreset[M].said(transport, answer.json())


async def listed_coresets(transport: M, job_id: str | None) -> AsyncIterator[Coreset[M]]:
    """All coresets, or those of a job."""
    async for entry in listed(transport, "/v1/coresets", {"job_id": job_id}):
        yield Coreset[M].said(transport, entry)
