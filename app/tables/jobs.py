"""Tables of jobs, their stages, artifacts, events and scores."""

from datetime import datetime
from enum import StrEnum
from typing import Any, TypedDict

from sqlalchemy import Float, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from dealrec.app.tables.base import Base, BigInt, Id, Json, TenantOwned, UtcDateTime


class JobKind(StrEnum):
    """What a job makes."""

    PRUNE = "prune"
    SELECT = "select"
    """Another selection of a prune job's samples, which needs more than its scores."""
    FINETUNE = "finetune"
    COMPARISON = "comparison"
    """A report on selectors, side by side."""


SELECTING = frozenset({JobKind.PRUNE, JobKind.SELECT})
"""The kinds that make a coreset."""


class JobState(StrEnum):
    """Of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class StageState(StrEnum):
    """Of a stage: ``waiting`` for others, ``queued`` to be claimed, ``running`` under a lease.

    A ``paused`` one was queued or running when its job was paused, and keeps its checkpoint.
    """

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


ENDED_JOBS = frozenset({JobState.CANCELLED, JobState.SUCCEEDED, JobState.FAILED})
ENDED_STAGES = frozenset({StageState.CANCELLED, StageState.SUCCEEDED, StageState.FAILED})


class JobRow(TenantOwned, Base):
    """One request for a coreset or an adapter."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20), index=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)
    source_coreset_id: Mapped[str | None] = mapped_column(Id)
    """Of a ``finetune`` job: the coreset that it trains on."""
    budget_requested: Mapped[Any] = mapped_column(Json, nullable=True)
    """A count or a fraction, as asked for; null for a job that makes no coreset."""
    budget_samples: Mapped[int | None] = mapped_column(BigInt)
    """Of a comparison: its largest budget. Null until the data set is ready."""
    config: Mapped[dict[str, object]] = mapped_column(Json)
    """``PruneConfig`` (``FinetuneJobConfig`` for ``finetune``, ``ComparisonConfig`` for
    ``comparison``), resolved once the data set is ready."""
    job_metadata: Mapped[dict[str, str]] = mapped_column("metadata", Json, default=dict)
    coreset_id: Mapped[str | None] = mapped_column(Id)
    adapter_id: Mapped[str | None] = mapped_column(Id)
    evaluation: Mapped[dict[str, object] | None] = mapped_column(Json)
    """What the adapter was measured to do, if it was."""
    error: Mapped[dict[str, object] | None] = mapped_column(Json)
    event_count: Mapped[int] = mapped_column(BigInt, default=0)
    """The last event's sequence number."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class StoredProgress(TypedDict):
    """How far a stage is."""

    done: int
    total: int
    unit: str


class StageRow(TenantOwned, Base):
    """The unit of work: ``ingest`` of a data set, or a stage of a job."""

    __tablename__ = "stages"
    __table_args__ = (
        Index("ix_stages_claimable", "state", "queue", "queued_at"),
        Index("ix_stages_served", "tenant_id", "started_at"),
        Index(
            "ix_stages_queued",
            *("tenant_id", "queued_at", "id", "queue"),
            sqlite_where=text("state = 'queued'"),
            postgresql_where=text("state = 'queued'"),
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"), index=True)
    """Null for ``ingest``."""
    name: Mapped[str] = mapped_column(String(20))
    part: Mapped[str | None] = mapped_column(String(20))
    """Null for the stage itself, which is one row unless it is sharded."""
    shard: Mapped[int | None]
    """Of a shard: its number, from 0."""
    shards: Mapped[int | None]
    """Of a shard: how many there are."""
    position: Mapped[int] = mapped_column(default=0)
    """Order within the job."""
    needs: Mapped[list[str]] = mapped_column(Json, default=list)
    """Ids of the stages that must succeed first."""
    queue: Mapped[str] = mapped_column(String(20))
    """``cpu`` or ``gpu``."""
    state: Mapped[str] = mapped_column(String(20))
    key: Mapped[str | None] = mapped_column(String(64))
    """Of the result, for reuse; set when the stage is queued."""
    reused: Mapped[bool] = mapped_column(default=False)
    artifact_id: Mapped[str | None] = mapped_column(ForeignKey("artifacts.id"))
    attempt: Mapped[int] = mapped_column(default=0)
    deaths: Mapped[int] = mapped_column(default=0)
    """Deaths and exceptions of the stage's process."""
    kills: Mapped[int] = mapped_column(default=0)
    """Those of the deaths that look like a lack of memory."""
    lost_leases: Mapped[int] = mapped_column(default=0)
    spent_seconds: Mapped[float] = mapped_column(Float, default=0.0)
    """In all of its runs that have ended."""
    owner: Mapped[str | None] = mapped_column(String(200))
    fence: Mapped[int] = mapped_column(BigInt, default=0)
    """Raised by every claim; a write with an older fence changes nothing."""
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    progress: Mapped[StoredProgress | None] = mapped_column(Json)
    metrics: Mapped[dict[str, float]] = mapped_column(Json, default=dict)
    used_gpu: Mapped[bool] = mapped_column(default=False)
    """Whether the present run, or the last one, has computed on a GPU."""
    error: Mapped[dict[str, object] | None] = mapped_column(Json)
    queued_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    woken_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the broker was last told; the sweeper tells it again."""
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def part_facts(self) -> dict[str, str | int]:
        """What tells this row from others of its stage, for events; empty for the stage itself."""
        facts = {"part": self.part, "shard": self.shard}
        return {name: value for name, value in facts.items() if value is not None}


class RunOutcome(StrEnum):
    """How one run of a stage ended."""

    SUCCEEDED = "succeeded"
    REUSED = "reused"
    """Nothing was computed: an earlier run had made the same."""
    FAILED = "failed"
    DIED = "died"
    """Its process ended without a result; another run follows."""
    LOST = "lost"
    """Its worker vanished; another run follows."""
    STOPPED = "stopped"
    """Its job was cancelled or paused, or its worker shut down."""


class StageRunRow(TenantOwned, Base):
    """One run of a stage that has ended, under one claim; outlives the stage, for quotas and metrics."""

    __tablename__ = "stage_runs"

    stage_id: Mapped[str] = mapped_column(Id, primary_key=True)
    fence: Mapped[int] = mapped_column(BigInt, primary_key=True)
    name: Mapped[str] = mapped_column(String(20))
    queue: Mapped[str] = mapped_column(String(20))
    outcome: Mapped[str] = mapped_column(String(20))
    code: Mapped[str | None] = mapped_column(String(60))
    """Of the problem, where there was one."""
    seconds: Mapped[float] = mapped_column(Float)
    """From the claim to the end."""
    used_gpu: Mapped[bool]
    ended_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class ArtifactRow(TenantOwned, Base):
    """A finished stage's files, shared by every job of the tenant that needs the same ones."""

    __tablename__ = "artifacts"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    stage: Mapped[str] = mapped_column(String(20))
    key: Mapped[str] = mapped_column(String(64))
    prefix: Mapped[str] = mapped_column(String(500))
    """Storage prefix; contains the fence of the run that wrote it."""
    metrics: Mapped[dict[str, float]] = mapped_column(Json, default=dict)
    details: Mapped[dict[str, object]] = mapped_column(Json, default=dict)
    """What the stage said of its result (its ``result.json``)."""
    seconds: Mapped[float | None] = mapped_column(Float)
    """What making it took, over all runs and all parts of its stage; null where nobody kept it."""
    stored_bytes: Mapped[int] = mapped_column(BigInt, default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EventRow(TenantOwned, Base):
    """Something that happened to a job; ``sequence`` counts from 1 within the job."""

    __tablename__ = "events"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInt, primary_key=True)
    kind: Mapped[str] = mapped_column(String(60))
    stage: Mapped[str | None] = mapped_column(String(20))
    data: Mapped[dict[str, object]] = mapped_column(Json, default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ScoreRow(Base):
    """A sample's scores, for queries; the Parquet file of the job's select stage is the truth."""

    __tablename__ = "scores"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    sample_index: Mapped[int] = mapped_column(BigInt, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id)
    sample_key: Mapped[str] = mapped_column(String)
    influence: Mapped[float] = mapped_column(Float)
    effort: Mapped[float | None] = mapped_column(Float)
    overall: Mapped[float] = mapped_column(Float)
    stratum: Mapped[int | None] = mapped_column(BigInt)
    """Null for a sample that hard pruning dropped."""
    selected: Mapped[bool]


class WorkerRow(Base):
    """A worker process, and when it last looked for work; belongs to no tenant."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(200), primary_key=True)
    """Host, process id and a random part."""
    queues: Mapped[list[str]] = mapped_column(Json)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
