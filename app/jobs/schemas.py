"""The schemas of jobs over HTTP."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from dealrec.app.jobs.targets import Budgeted
from dealrec.app.jobs.time_left import time_left
from dealrec.app.kit.schemas import Body, OptionNote
from dealrec.app.naming import Name
from dealrec.app.stages.schemas import Progress
from dealrec.app.tables.jobs import (
    EventRow,
    JobKind,
    JobRow,
    JobState,
    StageRow,
    StageState,
)
from dealrec.app.tracking.schemas import Tracked, tracking_warnings
from dealrec.config import Budget, ComparisonConfig, EvaluationConfig, FinetuneConfig, PruneConfig
from dealrec.config.continuation import Continuation, Continued
from dealrec.config.curve import Target, TargetUse
from dealrec.config.stages import StageName, StagePart
from dealrec.config.unread import comparison_warnings, config_warnings
from dealrec.errors import FieldError, InputError

_Short = Annotated[str, StringConstraints(max_length=200)]
_Key = Annotated[str, StringConstraints(min_length=1, max_length=60)]
Metadata = Annotated[dict[_Key, _Short], Field(max_length=16)]


class JobOrder(Body):
    """The options of a job that makes a coreset. Every part of ``config`` is optional."""

    target: Target | None = None
    """Instead of a budget: the share of what training on all samples gives, such as ``95 % of full``. A
    comparison with a ``curve`` for this data set, prompt, recommender and model must have finished."""
    budget: Budget | None = Field(None, validate_default=True)
    config: PruneConfig = PruneConfig()
    metadata: Metadata = Field(default_factory=dict)

    @property
    def budgeted(self) -> Budgeted:
        """The budget, or the target in its place."""
        return Budgeted(self.budget, self.target)

    @field_validator("budget")
    @classmethod
    def _one_of_both(cls, budget: float | None, info: ValidationInfo) -> float | None:
        if "target" in info.data and (budget is None) == (info.data["target"] is None):
            raise ValueError("is required, or a `target` instead, but not both")
        return budget


class JobCreate(JobOrder):
    """A request for a job."""

    dataset_id: str
    name: Name | None = None
    """The default is made from its data set, budget and method."""
    continue_from: str | None = Field(None, max_length=40)
    """A finished job to continue from, usually on the previous version: the surrogate starts from its
    weights, and effort is measured only for new texts. If not set, everything is computed from scratch."""
    continuation: Continuation | None = None
    """How the job continues from that one."""

    @model_validator(mode="after")
    def _of_a_job(self) -> Self:
        if self.continuation is not None and self.continue_from is None:
            raise ValueError("continuation needs continue_from, the id of an earlier job")
        return self


class ComparisonCreate(Body, ComparisonConfig):
    """A request to compare selectors. Each is trained on and evaluated ``seeds`` times at each budget.

    ``random`` is always one of the selectors. All of them share ``config``.
    """

    dataset_id: str
    name: Name | None = None
    """The default is made from its data set and the number of selectors."""
    metadata: Metadata = Field(default_factory=dict)

    def comparison(self) -> ComparisonConfig:
        """Return the request's configuration of the comparison."""
        return ComparisonConfig.model_validate(
            self.model_dump(exclude={"dataset_id", "name", "metadata"})
        )


class FinetuneJobConfig(FinetuneConfig):
    """The configuration of a training on a stored coreset, and of its evaluation."""

    evaluation: EvaluationConfig | None = None
    """The evaluation on held-out users; ``None`` means none."""

    def of_stages(self) -> PruneConfig:
        """Return the same configuration as parts of a ``PruneConfig``."""
        finetune = FinetuneConfig.model_validate(self.model_dump(exclude={"evaluation"}))
        return PruneConfig(finetune=finetune, evaluation=self.evaluation)


def _shown(row: JobRow) -> dict[str, Any]:
    """The configuration with its defaults, also where the data have not decided about all of them yet."""
    if row.kind == JobKind.PRUNE and row.budget_samples is None:
        return PruneConfig.parse(row.config).model_dump(mode="json")
    return row.config


class BudgetUse(BaseModel):
    """The requested budget, and the number of samples that it means once the data set is ready."""

    requested: int | float
    samples: int | None


class TargetShown(BaseModel):
    """The requested share of what all samples give, and the budget that followed from it."""

    target: float
    use: TargetUse | None
    """Null until the data set is ready."""


class Shards(BaseModel):
    """The number of shards of a stage, and of those that have succeeded."""

    done: int
    total: int


class Runs(BaseModel):
    """The number of runs of a comparison for which a stage runs, and of those that have succeeded."""

    done: int
    total: int


class Stage(BaseModel):
    """A stage of a job."""

    name: str
    state: StageState
    attempt: int
    reused: bool
    progress: Progress | None
    shards: Shards | None = None
    runs: Runs | None = None
    """For a stage that runs once for each run of a comparison. The metrics are those of the first run."""
    metrics: dict[str, float]
    error: dict[str, Any] | None
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None
    expected_seconds: float | None = None
    """The expected time, estimated when the job started; 0 if the result already existed."""

    @classmethod
    def of(cls, row: StageRow, now: datetime) -> Self:
        """Make the schema of a row; ``now`` is by the database's clock."""
        return cls(
            name=row.name,
            state=StageState(row.state),
            attempt=row.attempt,
            reused=row.reused,
            progress=Progress.model_validate(row.progress) if row.progress else None,
            metrics=row.metrics or {},
            error=row.error,
            started_at=row.started_at,
            finished_at=row.finished_at,
            seconds=_seconds(row.started_at, row.finished_at, now),
            expected_seconds=row.expected_seconds,
        )

    @classmethod
    def of_all(cls, rows: Sequence[StageRow], now: datetime) -> list[Self]:
        """Make the schemas of a job's stages, in order; parts and runs of a stage become one entry."""
        by_name: dict[str, list[StageRow]] = {}
        for row in rows:
            by_name.setdefault(row.name, []).append(row)
        return [
            cls.of(parts[0], now) if len(parts) == 1 else cls._of_parts(parts, now)
            for parts in by_name.values()
        ]

    @classmethod
    def _of_parts(cls, rows: Sequence[StageRow], now: datetime) -> Self:
        whole = [row for row in rows if row.part is None]
        shards = [row for row in rows if row.part == StagePart.SHARD]
        shards_done, runs_done = _succeeded(shards), _succeeded(whole)
        started = min((row.started_at for row in rows if row.started_at), default=None)
        ends = [row.finished_at for row in whole if row.finished_at]
        finished = max(ends) if len(ends) == len(whole) else None
        progress = None
        if started and shards:
            progress = Progress(done=shards_done, total=len(shards), unit="shard")
        elif started:
            progress = Progress(done=runs_done, total=len(whole), unit="run")
        return cls(
            name=whole[0].name,
            state=_state_of_parts({StageState(row.state) for row in rows}),
            attempt=max(row.attempt for row in rows),
            reused=all(row.reused for row in rows),
            progress=progress,
            shards=Shards(done=shards_done, total=len(shards)) if shards else None,
            runs=Runs(done=runs_done, total=len(whole)) if len(whole) > 1 else None,
            metrics=whole[0].metrics or {},
            error=next((row.error for row in rows if row.error), None),
            started_at=started,
            finished_at=finished,
            seconds=_seconds(started, finished, now),
            expected_seconds=_expected(rows),
        )


def _succeeded(rows: Sequence[StageRow]) -> int:
    return sum(row.state == StageState.SUCCEEDED for row in rows)


class Evaluation(BaseModel):
    """The evaluation of an adapter on held-out users.

    The metrics by name: ``preference`` (how much the history tells the model about the user's choice
    among titles, in nats; more is better), with ``auc_adj``, ``auc``, ``hit@1`` and ``gain``; ``nll``
    (nats of the true next title; less is better), which is ``nll_others`` minus ``gain``; ``recall@K``
    and ``ndcg@K`` over the catalogue.
    """

    split: str
    """``valid`` or ``test``."""
    users: int
    """The number of evaluated users."""
    candidates: int | None = None
    """The number of candidates among which each user's title had to be found; null in evaluations of
    version 0.1."""
    familiar_candidates: int | None = None
    """The number of candidates that the user had already chosen before, because there were not enough
    others; 0 unless the data set is tiny."""
    ranking_users: int
    """The number of users for whom the catalogue was ranked."""
    protocol: str
    """Which items are ranked, and when an answer is correct."""
    metrics: dict[str, float]
    standard_errors: dict[str, float]
    """The standard errors of the metrics over users."""
    untrained: dict[str, float]
    """The metrics of the language model without the adapter."""


class Job(BaseModel):
    """A job with its stages."""

    id: str
    object: Literal["job"] = "job"
    kind: JobKind
    name: str
    metadata: dict[str, str]
    dataset_id: str
    source_coreset_id: str | None
    state: JobState
    budget: BudgetUse | None
    target: TargetShown | None = None
    """For a job that was given a target instead of a budget."""
    config: dict[str, Any]
    continue_from: str | None = None
    """The job that this one continues from. It may have been deleted."""
    continuation: Continuation | None = None
    schedule_id: str | None = None
    """The schedule that made the job. It may have been deleted."""
    due_at: datetime | None = None
    """The due time for which the schedule made the job; null if the schedule follows the data."""
    warnings: list[OptionNote] = []
    """Options of ``config`` that have no effect, or for which the budget is too small, and trackers that
    could not be written to."""
    stages: list[Stage]
    coreset_id: str | None
    adapter_id: str | None
    evaluation: Evaluation | None
    tracking: list[Tracked] = []
    """The records of an ended job in the operator's experiment trackers, if there are any."""
    eta_seconds: float | None
    """The estimated seconds until the job ends; null while it is not running."""
    error: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, row: JobRow, stages: Sequence[StageRow], now: datetime) -> Self:
        """Make the schema of a row; ``now`` is by the database's clock."""
        requested = row.budget_requested
        continued = Continued.model_validate(row.continued) if row.continued else None
        return cls(
            id=row.id,
            kind=JobKind(row.kind),
            name=row.name,
            metadata=row.job_metadata,
            dataset_id=row.dataset_id,
            source_coreset_id=row.source_coreset_id,
            state=JobState(row.state),
            budget=None
            if requested is None
            else BudgetUse(requested=requested, samples=row.budget_samples),
            target=None
            if row.target is None
            else TargetShown.model_validate({"target": row.target, "use": row.target_use}),
            config=_shown(row),
            continue_from=continued and continued.job,
            continuation=continued
            and Continuation(**continued.model_dump(exclude={"earlier", "job"})),
            schedule_id=row.schedule_id,
            due_at=row.due_at,
            warnings=OptionNote.of_all([*_warnings(row, stages), *tracking_warnings(row.tracking)]),
            stages=Stage.of_all(stages, now),
            coreset_id=row.coreset_id,
            adapter_id=row.adapter_id,
            evaluation=row.evaluation and Evaluation.model_validate(row.evaluation),
            tracking=Tracked.of_all(row.tracking),
            eta_seconds=time_left(row, stages, now),
            error=row.error,
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
        )


def _warnings(row: JobRow, stages: Sequence[StageRow]) -> list[FieldError]:
    """Find the warnings anew: they follow from what is stored. An older version's row may have none."""
    has_ids = any(stage.name == StageName.SURROGATE for stage in stages)
    try:
        match JobKind(row.kind):
            case JobKind.COMPARISON:
                return comparison_warnings(ComparisonConfig.parse(row.config))
            case JobKind.FINETUNE:
                return config_warnings(FinetuneJobConfig.parse(row.config).of_stages())
            case JobKind.PRUNE | JobKind.SELECT:
                config = PruneConfig.parse(row.config)
                return config_warnings(config, row.budget_samples, has_ids=has_ids)
    except InputError:
        return []


class Event(BaseModel):
    """An event of a job; ``sequence`` counts from 1."""

    sequence: int
    kind: str
    stage: str | None
    data: dict[str, Any]
    created_at: datetime

    @classmethod
    def of(cls, row: EventRow) -> Self:
        """Make the schema of a row."""
        return cls.model_validate(row, from_attributes=True)


_MOST_TELLING = (
    StageState.FAILED,
    StageState.RUNNING,
    StageState.QUEUED,
    StageState.PAUSED,
    StageState.CANCELLED,
    StageState.WAITING,
    StageState.SKIPPED,
)


def _state_of_parts(states: set[StageState]) -> StageState:
    """Return the first of these states that any part is in, or ``succeeded`` if all parts are."""
    return next((state for state in _MOST_TELLING if state in states), StageState.SUCCEEDED)


def _expected(rows: Sequence[StageRow]) -> float | None:
    found = [row.expected_seconds for row in rows if row.expected_seconds is not None]
    return round(sum(found), 1) if len(found) == len(rows) else None


def _seconds(started: datetime | None, finished: datetime | None, now: datetime) -> float | None:
    if started is None:
        return None
    return round(max(0.0, ((finished or now) - started).total_seconds()), 1)
