"""The tables of jobs, their stages, artifacts, events and scores."""

from datetime import datetime
from enum import StrEnum
from typing import Any, NotRequired, TypedDict

from sqlalchemy import Float, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from dealrec.app.tables.base import Base, BigInt, Id, Json, TenantOwned, UtcDateTime
from dealrec.config.stages import StageName, StagePlace


class JobKind(StrEnum):
    """The kind of a job's result."""

    PRUNE = "prune"
    SELECT = "select"
    """A second selection of a prune job's samples, which needs more than its scores."""
    FINETUNE = "finetune"
    COMPARISON = "comparison"
    """A report that compares selectors."""


SELECTING = frozenset({JobKind.PRUNE, JobKind.SELECT})
"""The kinds that make a coreset."""


class JobState(StrEnum):
    """The state of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class StageState(StrEnum):
    """The state of a stage: ``waiting`` for others, ``queued`` for a claim, ``running`` under a lease.

    A ``paused`` stage was queued or running when its job was paused, and keeps its checkpoint. A
    ``skipped`` one is not needed, because an earlier stage has found that there is nothing to learn.
    """

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


ENDED_JOBS = frozenset({JobState.CANCELLED, JobState.SUCCEEDED, JobState.FAILED})
DONE_STAGES = frozenset({StageState.SUCCEEDED, StageState.SKIPPED})
"""The states in which a stage keeps no other stage waiting."""
ENDED_STAGES = DONE_STAGES | {StageState.CANCELLED, StageState.FAILED}


class StoredTracking(TypedDict):
    """The state of the record that one tracker gets of an ended job."""

    tracker: str
    """The address of the tracker, which only the operator may see."""
    state: str
    """A :class:`TrackingState`."""
    attempts: int
    run: str | None
    """The tracker's name for the record."""
    error: str | None


class TrackingState(StrEnum):
    """Whether a tracker has the record of a job."""

    PENDING = "pending"
    WRITTEN = "written"
    FAILED = "failed"
    """Given up after ten attempts."""


class JobRow(TenantOwned, Base):
    """One request for a coreset or an adapter."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20), index=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)
    source_coreset_id: Mapped[str | None] = mapped_column(Id)
    """The coreset that a ``finetune`` job trains on."""
    budget_requested: Mapped[Any] = mapped_column(Json, nullable=True)
    """The requested count or fraction; null for a job that makes no coreset."""
    target: Mapped[float | None] = mapped_column(Float)
    """The share of what all samples give that was asked for in place of a budget."""
    target_use: Mapped[dict[str, object] | None] = mapped_column(Json)
    """The :class:`~dealrec.config.curve.TargetUse` that followed, once the data set is ready."""
    continued: Mapped[dict[str, object] | None] = mapped_column(Json)
    """The :class:`~dealrec.config.continuation.Continued` of a job that goes on from an earlier one."""
    budget_samples: Mapped[int | None] = mapped_column(BigInt)
    """The number of samples, for a comparison its largest; null until the data set is ready."""
    config: Mapped[dict[str, object]] = mapped_column(Json)
    """``PruneConfig`` (``FinetuneJobConfig`` for ``finetune``, ``ComparisonConfig`` for
    ``comparison``), resolved once the data set is ready."""
    name: Mapped[str] = mapped_column(String(200), default="")
    job_metadata: Mapped[dict[str, str]] = mapped_column("metadata", Json, default=dict)
    coreset_id: Mapped[str | None] = mapped_column(Id)
    adapter_id: Mapped[str | None] = mapped_column(Id)
    evaluation: Mapped[dict[str, object] | None] = mapped_column(Json)
    """The measurements of the adapter, if it was evaluated."""
    error: Mapped[dict[str, object] | None] = mapped_column(Json)
    schedule_id: Mapped[str | None] = mapped_column(Id, index=True)
    """The schedule that made it; it may have been deleted."""
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """The due time that the schedule made it for; null where new data decided."""
    event_count: Mapped[int] = mapped_column(BigInt, default=0)
    """The sequence number of the last event."""
    tracking: Mapped[list[StoredTracking] | None] = mapped_column(Json)
    """The records that trackers get, since the job ended."""
    track_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    """When a worker writes them, or tries again; null where nothing is left to write."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class StoredProgress(TypedDict):
    """The progress of a stage."""

    done: int
    total: int
    unit: str
    seconds: NotRequired[float]
    """When this much was done, in seconds since the worker took the stage."""
    first_done: NotRequired[int]
    """What was done when progress was first told: 0, or what an earlier attempt had finished."""
    first_seconds: NotRequired[float]
    """When that was; until then the stage was started and its data were read."""


StoredCurves = dict[str, list[tuple[int, float | None]]]
"""The points of curves by name: a step, and a value that is null where it is no number."""


class StageRow(TenantOwned, Base):
    """A unit of work: the ``ingest`` of a data set, or a stage of a job."""

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
    """The job of the stage; null for ``ingest``."""
    name: Mapped[str] = mapped_column(String(20))
    run: Mapped[int] = mapped_column(default=0)
    """The run of a comparison that the stage is made for; 0 in any other job."""
    part: Mapped[str | None] = mapped_column(String(20))
    """The part of a sharded stage; null for the stage itself."""
    shard: Mapped[int | None]
    """The number of a shard, from 0."""
    shards: Mapped[int | None]
    """The number of shards, set on each shard."""
    position: Mapped[int] = mapped_column(default=0)
    """The stage's place in the order of the job."""
    needs: Mapped[list[str]] = mapped_column(Json, default=list)
    """The ids of the stages that must succeed first."""
    queue: Mapped[str] = mapped_column(String(20))
    """``cpu`` or ``gpu``."""
    state: Mapped[str] = mapped_column(String(20))
    key: Mapped[str | None] = mapped_column(String(64))
    """The key under which the result is reused; it is set when the job starts."""
    loads: Mapped[dict[str, object] | None] = mapped_column(Json)
    """What the language model consisted of when the key was made; see ``StageSpec.loads``."""
    reused: Mapped[bool] = mapped_column(default=False)
    artifact_id: Mapped[str | None] = mapped_column(ForeignKey("artifacts.id"))
    attempt: Mapped[int] = mapped_column(default=0)
    deaths: Mapped[int] = mapped_column(default=0)
    """The number of deaths and exceptions of the stage's process."""
    kills: Mapped[int] = mapped_column(default=0)
    """The number of deaths that look like a lack of memory."""
    lost_leases: Mapped[int] = mapped_column(default=0)
    expected_seconds: Mapped[float | None] = mapped_column(Float)
    """The time it takes by what had finished when the job started; 0 where its result was there already."""
    spent_seconds: Mapped[float] = mapped_column(Float, default=0.0)
    """The seconds of all runs that have ended."""
    owner: Mapped[str | None] = mapped_column(String(200))
    fence: Mapped[int] = mapped_column(BigInt, default=0)
    """Every claim raises the fence; a write with an older fence changes nothing."""
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    progress: Mapped[StoredProgress | None] = mapped_column(Json)
    metrics: Mapped[dict[str, float]] = mapped_column(Json, default=dict)
    curves: Mapped[StoredCurves | None] = mapped_column(Json)
    """The points of its curves, from time to time while it runs."""
    used_gpu: Mapped[bool] = mapped_column(default=False)
    """Whether the current or the last run has used a GPU."""
    error: Mapped[dict[str, object] | None] = mapped_column(Json)
    trace: Mapped[str | None] = mapped_column(String(60))
    """The ``traceparent`` of the request that asked for it, where traces are exported."""
    queued_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    woken_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """The time of the last message to the broker; the sweeper repeats it."""
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def place(self) -> StagePlace:
        """The stage's place in its job."""
        return StagePlace(StageName(self.name), self.run)

    @property
    def part_facts(self) -> dict[str, str | int]:
        """The run, part and shard of this row, for events; empty for the stage of a job without runs."""
        facts = {"run": self.run or None, "part": self.part, "shard": self.shard}
        return {name: value for name, value in facts.items() if value is not None}


class RunOutcome(StrEnum):
    """The outcome of one run of a stage."""

    SUCCEEDED = "succeeded"
    REUSED = "reused"
    """The run computed nothing, because an earlier run had made the same result."""
    FAILED = "failed"
    DIED = "died"
    """The process ended without a result; another run follows."""
    LOST = "lost"
    """The worker vanished; another run follows."""
    STOPPED = "stopped"
    """The job was cancelled or paused, or the worker shut down."""


class StageRunRow(TenantOwned, Base):
    """An ended run of a stage under one claim. It outlives the stage, for quotas and metrics."""

    __tablename__ = "stage_runs"

    stage_id: Mapped[str] = mapped_column(Id, primary_key=True)
    fence: Mapped[int] = mapped_column(BigInt, primary_key=True)
    name: Mapped[str] = mapped_column(String(20))
    queue: Mapped[str] = mapped_column(String(20))
    outcome: Mapped[str] = mapped_column(String(20))
    code: Mapped[str | None] = mapped_column(String(60))
    """The code of the problem, if there was one."""
    seconds: Mapped[float] = mapped_column(Float)
    """The time from the claim to the end."""
    used_gpu: Mapped[bool]
    ended_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class ArtifactRow(TenantOwned, Base):
    """The files of a finished stage, which the tenant's jobs with the same key share."""

    __tablename__ = "artifacts"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    stage: Mapped[str] = mapped_column(String(20))
    key: Mapped[str] = mapped_column(String(64))
    prefix: Mapped[str] = mapped_column(String(500))
    """The storage prefix, which contains the fence of the run that wrote the files."""
    metrics: Mapped[dict[str, float]] = mapped_column(Json, default=dict)
    curves: Mapped[StoredCurves | None] = mapped_column(Json)
    """The curves of the run that made it."""
    details: Mapped[dict[str, object]] = mapped_column(Json, default=dict)
    """The stage's own description of its result (``result.json``)."""
    seconds: Mapped[float | None] = mapped_column(Float)
    """The time of all runs and parts of the stage; null if it was not measured."""
    stored_bytes: Mapped[int] = mapped_column(BigInt, default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EventRow(TenantOwned, Base):
    """An event of a job; ``sequence`` counts from 1 within the job."""

    __tablename__ = "events"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInt, primary_key=True)
    kind: Mapped[str] = mapped_column(String(60))
    stage: Mapped[str | None] = mapped_column(String(20))
    data: Mapped[dict[str, object]] = mapped_column(Json, default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ScoreRow(Base):
    """A sample's scores for queries; the Parquet file of the select stage is the truth."""

    __tablename__ = "scores"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    sample_index: Mapped[int] = mapped_column(BigInt, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id)
    sample_key: Mapped[str] = mapped_column(String)
    influence: Mapped[float | None] = mapped_column(Float)
    """Null for texts without ids."""
    effort: Mapped[float | None] = mapped_column(Float)
    overall: Mapped[float] = mapped_column(Float)
    stratum: Mapped[int | None] = mapped_column(BigInt)
    """The stratum; null for a sample that hard pruning dropped."""
    selected: Mapped[bool]


class WorkerRow(Base):
    """A worker process and the time when it last looked for work; it belongs to no tenant."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(200), primary_key=True)
    """The host, the process id and a random part."""
    queues: Mapped[list[str]] = mapped_column(Json)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
