"""Jobs and coresets, in one module because each leads to the other.

A job leaves coresets behind, and a coreset starts jobs that train on it.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from dealrec.client.adapters import Adapter
from dealrec.client.binding import operation, reference, sequence
from dealrec.client.display import job_display
from dealrec.client.downloads import fetch_file
from dealrec.client.errors import ApiError
from dealrec.client.exchange import ask, creating, delete, fetched, plain, rename, without_none
from dealrec.client.files import read_parquet
from dealrec.client.lists import listed
from dealrec.client.records import (
    Budget,
    CoresetDiff,
    CoresetSample,
    Coverage,
    Curve,
    Evaluation,
    Event,
    Explanation,
    Histogram,
    M,
    OptionNote,
    Remote,
    Stage,
    SweepPoint,
    Target,
)
from dealrec.client.stream import followed
from dealrec.client.transport import Request
from dealrec.client.waiting import until
from dealrec.config import FinetuneConfig
from dealrec.notebook import coreset_facts, facts_html

if TYPE_CHECKING:
    import pyarrow as pa

ENDED = frozenset({"succeeded", "failed", "cancelled"})
RESTS = ENDED | {"paused"}


class Coreset(Remote[M]):
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
    """Options of ``selection`` that had no effect, or that the size is too small for."""
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

        With ``configurations`` the file is a zip: configurations of TRL, Axolotl and LLaMA-Factory lie
        beside the data. They repeat the fine-tuning of the coreset's job, or of the ``adapter`` with this
        id. ``huggingface`` is a zip in any case. An interrupted download goes on where it stopped, and
        the SHA-256 is checked at the end.
        """
        request = self._as_file(format, configurations=configurations or None, adapter_id=adapter)
        return await fetch_file(self.transport, request, path, progress=progress)

    @sequence
    async def samples(self) -> AsyncIterator[CoresetSample]:
        """Iterate over the members in dense order."""
        async for entry in listed(self.transport, f"{self.path}/samples"):
            yield CoresetSample.model_validate(entry)

    @operation
    async def manifest(self) -> dict[str, Any]:
        """Fetch the manifest: all that is needed to make the coreset again."""
        answer = await fetched(self.transport, f"{self.path}/manifest")
        manifest: dict[str, Any] = answer
        return manifest

    @operation
    async def download_report(self, path: str | Path) -> Path:
        """Download the report: one page on the scores and the selection that needs no network."""
        request = Request("GET", f"{self.path}/report")
        return await fetch_file(self.transport, request, path)

    @operation
    async def explain(self, sample_key: str) -> Explanation:
        """Explain why a sample is in the coreset, or why it is not."""
        answer = await fetched(
            self.transport, f"{self.path}/explanation", {"sample_key": sample_key}
        )
        return Explanation.model_validate(answer)

    @operation
    async def diff(self, against: str) -> CoresetDiff:
        """Compare the members with those of the coreset whose id is ``against``."""
        answer = await fetched(self.transport, f"{self.path}/diff", {"against": against})
        return CoresetDiff.model_validate(answer)

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


class Job(Remote[M]):
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
    """For a job that was given a target in place of a budget."""
    config: Mapping[str, Any]
    continue_from: str | None = None
    continuation: Mapping[str, Any] | None = None
    """The job that this one goes on from, and how."""
    warnings: list[OptionNote] = Field(default_factory=list)
    """Options of ``config`` that have no effect, or that the budget is too small for."""
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
        """Wait until the job has succeeded or is paused; ``progress`` shows its stages.

        Raises:
            ApiError: The job's ``error`` when it failed, ``job_cancelled``, or ``wait_timed_out``
                after ``timeout`` seconds.
        """
        return await wait_for_job(self.transport, self.id, timeout=timeout, progress=progress)

    @operation
    async def cancel(self) -> "Job[M]":
        """Cancel the job: at once when none of its stages runs, else within seconds."""
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

    @sequence
    async def events(self, after: int = 0) -> AsyncIterator[Event]:
        """Iterate over its events so far, oldest first, after sequence number ``after``."""
        path = f"{self.path}/events"
        async for entry in listed(self.transport, path, {"after": str(after)}):
            yield Event.model_validate(entry)

    @sequence
    async def follow(self, after: int = 0) -> AsyncIterator[Event]:
        """Iterate over its events as they happen, until it ends; a lost connection loses none."""
        async for event in followed(self.transport, f"{self.path}/events", after):
            yield event

    @operation
    async def metrics(self) -> list[Curve]:
        """Fetch the curves of its stages so far: losses and learning rates, step by step."""
        answer = await ask(self.transport, Request("GET", f"{self.path}/metrics"))
        return [Curve.model_validate(one) for one in answer.json()["series"]]

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

        The budget and the selection options that are left out are the job's. A selector that needs
        more than the scores runs as a job of its own, and its end is waited for.
        """
        body = without_none({"budget": budget, "selection": selection})
        path = f"{self.path}/coresets"
        request = creating(path, body, idempotency_key=idempotency_key)
        made = (await ask(self.transport, request)).json()
        if made["object"] == "coreset":
            return Coreset[M].received(self.transport, made)
        job = await wait_for_job(self.transport, made["id"], timeout=timeout, progress=progress)
        return await Job.coreset.function(job)

    @operation
    async def budget_sweep(self, budgets: Sequence[float]) -> list[SweepPoint]:
        """Describe its selection at other budgets; no coreset is stored."""
        query = {"budgets": ",".join(f"{budget}" for budget in budgets)}
        answer = await fetched(self.transport, f"{self.path}/budget-sweep", query)
        return [SweepPoint.model_validate(point) for point in answer["data"]]

    @operation
    async def scores(self) -> "pa.Table":
        """Fetch ``influence``, ``effort``, ``overall``, ``stratum`` and ``selected`` of every sample."""
        path = f"{self.path}/scores/download"
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
        """Download :meth:`scores` as a file in the format ``parquet`` or ``csv``."""
        request = Request("GET", f"{self.path}/scores/download", {"format": format})
        return await fetch_file(self.transport, request, path, progress=progress)

    @operation
    async def histogram(self, score: str = "overall", bins: int = 50) -> Histogram:
        """Fetch the histogram of a score over all samples and over the selected ones."""
        answer = await fetched(
            self.transport, f"{self.path}/scores/histogram", {"score": score, "bins": bins}
        )
        return Histogram.model_validate(answer)

    @operation
    async def report(self) -> dict[str, Any]:
        """Fetch the report of a job of kind ``comparison``."""
        answer = await ask(self.transport, self._report_as("json"))
        report: dict[str, Any] = answer.json()
        return report

    @operation
    async def download_report(
        self,
        path: str | Path,
        *,
        format: str = "html",  # noqa: A002
    ) -> Path:
        """Download the report as ``html`` or ``json``, or the figures behind it as ``parquet``."""
        return await fetch_file(self.transport, self._report_as(format), path)

    def _report_as(self, kind: str) -> Request:
        return Request("GET", f"{self.path}/report", {"format": kind})


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
