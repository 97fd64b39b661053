"""The answers of the service as data. Fields that a newer service adds are kept."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, PrivateAttr

from dealrec.client.binding import operation, reference, sequence
from dealrec.client.exchange import fetched
from dealrec.client.lists import listed
from dealrec.client.transport import Transport

M = TypeVar("M", bound=Transport)


class Record(BaseModel):
    """An answer of the service; states and kinds are plain text, since new ones may be added."""

    model_config = ConfigDict(
        extra="allow",
        frozen=True,
        protected_namespaces=(),
        ignored_types=(operation, reference, sequence),
    )


class Remote(Record, Generic[M]):
    """A record as it was when the service was asked, with the requests that concern it."""

    place: ClassVar[str]
    """The path of the list of all such records."""
    _transport: M = PrivateAttr()
    id: str
    object: str

    @classmethod
    def received(cls, transport: M, body: Any) -> Self:
        """Read the record in an answer's body; later requests go through ``transport``."""
        record = cls.model_validate(body)
        record._transport = transport
        return record

    @classmethod
    async def fetched(cls, transport: M, identifier: str) -> Self:
        """Fetch the record in its present state."""
        return cls.received(transport, await fetched(transport, f"{cls.place}/{identifier}"))

    @classmethod
    async def listed(
        cls, transport: M, query: Mapping[str, Any] | None = None
    ) -> AsyncIterator[Self]:
        """List the records, newest first."""
        async for entry in listed(transport, cls.place, query):
            yield cls.received(transport, entry)

    @property
    def transport(self) -> M:
        """The transport of requests that concern the record."""
        return self._transport

    @property
    def path(self) -> str:
        """The path of the record on the service."""
        return f"{self.place}/{self.id}"


class Area(Generic[M]):
    """One kind of resource: the requests that create, find and list it."""

    def __init__(self, transport: M) -> None:
        self.transport = transport


class Progress(Record):
    """The progress of a stage."""

    done: int
    total: int
    unit: str


class Shards(Record):
    """The number of shards of a stage that have succeeded."""

    done: int
    total: int


class Runs(Record):
    """The number of runs of a comparison for which a stage has succeeded."""

    done: int
    total: int


class Stage(Record):
    """A stage of a job."""

    name: str
    state: str
    attempt: int
    reused: bool
    progress: Progress | None = None
    shards: Shards | None = None
    runs: Runs | None = None
    metrics: Mapping[str, float] = {}
    error: Mapping[str, Any] | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    seconds: float | None = None
    expected_seconds: float | None = None
    """The expected time, estimated when the job started."""


class Budget(Record):
    """The requested budget, and the number of samples that it means once the data set is ready."""

    requested: int | float
    samples: int | None = None


class Target(Record):
    """The requested share of what all samples give, and the budget that followed from a curve."""

    target: float
    use: Mapping[str, Any] | None = None
    """``samples``, the ``share`` that these reached, and the ``curve``; ``None`` until the data set is
    ready."""


class OptionNote(Record):
    """A warning about an option: ``location``, followed by ``message``, is a sentence."""

    location: str
    message: str

    @property
    def told(self) -> str:
        """The warning as a sentence."""
        return f"`{self.location}` {self.message}."


class Evaluation(Record):
    """An adapter measured on held-out users, with metrics by name.

    ``preference`` is in nats of a user's choice among titles that the model reads from the history (more
    is better), ``nll`` in nats of the true next title (less is better); ``recall@K`` and ``ndcg@K`` rank
    the catalogue.
    """

    split: str
    """``valid`` or ``test``."""
    users: int
    """The number of evaluated users."""
    candidates: int | None = None
    """The number of candidates per user; ``None`` for a server of version 0.1."""
    familiar_candidates: int | None = None
    """The number of candidates that the user had chosen before, because there were not enough others."""
    ranking_users: int
    """The number of them for whom the catalogue was ranked."""
    protocol: str
    """A sentence on how candidates are ranked and which answer is right."""
    metrics: Mapping[str, float]
    standard_errors: Mapping[str, float]
    """Standard errors of the metrics over users."""
    untrained: Mapping[str, float]
    """The metrics of the language model without the adapter."""


class Event(Record):
    """An event of a job; ``sequence`` counts from 1."""

    sequence: int
    kind: str
    stage: str | None = None
    data: Mapping[str, Any]
    created_at: datetime


class Calibration(Record):
    """The measurements behind the estimate of a stage."""

    basis: str
    """The basis of the estimate: ``finished_stages`` of this tenant or, if there are none yet, the
    ``checked_model`` or the ``reference`` machine."""
    stages: int
    """The number of finished stages whose median rate is used; 0 for another basis."""


class StageEstimate(Record):
    """The cost of one stage on one worker."""

    name: str
    seconds: float
    peak_memory_bytes: int | None = None
    reused: bool
    runs: int = 1
    """For how many runs of a comparison the stage runs; ``seconds`` is the total."""
    calibrated_on: Calibration


class Detectable(Record):
    """The difference that a comparison can detect, from the spread in the latest one."""

    metric: str
    runs: int
    users: int
    difference: float
    """Shown four times out of five, before correction for many selectors."""


class Tracked(Record):
    """The record of a job in one of the operator's trackers of experiments."""

    tracker: str
    """``mlflow``, ``tensorboard`` or ``wandb``."""
    state: str
    """``pending``, ``written`` or ``failed``."""
    run: str | None = None
    """The tracker's name for the record, once it is written."""


class Estimate(Record):
    """What a job would cost if it were created now."""

    object: str
    dataset_id: str
    budget: Budget
    """The largest budget, for a comparison."""
    seconds: float
    trainings: int | None = None
    """The number of trainings of a comparison; ``None`` for other jobs."""
    detectable: Detectable | None = None
    """For a comparison: the difference that it can detect; ``None`` until one with its language model has
    finished."""
    stages: list[StageEstimate]
    warnings: list[OptionNote] = []
    """Options that have no effect, or for which the budget is too small."""


class Histogram(Record):
    """The histogram of a score over all samples, and over those that the job selected."""

    score: str
    edges: list[float]
    all: list[int]
    selected: list[int]


class SampleText(Record):
    """A sample in the words that the language model reads."""

    sample_key: str
    user_id: str
    history: list[str]
    target: str | None = None
    """``None``, with an empty history, for texts without ids."""
    instruction: str
    input: str
    output: str


class CoresetSample(SampleText):
    """A member of a coreset, with its scores."""

    influence: float | None = None
    effort: float | None = None
    overall: float
    stratum: int | None = None


class Stratum(Record):
    """A stratum ``[low, high]`` of the overall score, with its available and selected samples."""

    index: int
    low: float
    high: float
    available: int
    selected: int


class Coverage(Record):
    """The distinct users and items of a coreset, and the use of each stratum."""

    users: int
    items: int
    strata: list[Stratum]


class ScoreTriple(Record):
    """One number for each score; ``None`` where it was not computed."""

    influence: float | None = None
    effort: float | None = None
    overall: float | None = None


class Explanation(Record):
    """The place of a sample in a selection, and whether it was selected."""

    object: str
    coreset_id: str
    sample_key: str
    selected: bool
    reason: str
    detail: str
    scores: ScoreTriple
    percentiles: ScoreTriple
    stratum: Stratum | None = None
    quota: int | None = None


class StratumDiff(Record):
    """The difference of two coresets within a stratum."""

    index: int | None = None
    kept: int
    gained: int
    lost: int


class CoresetDiff(Record):
    """The difference of a coreset from another one; at most a thousand keys of each kind."""

    object: str
    coreset_id: str
    against: str
    kept: int
    gained: int
    lost: int
    jaccard: float
    strata: list[StratumDiff]
    gained_keys: list[str]
    lost_keys: list[str]


class SweepCoverage(Record):
    """The distinct users and items of a selection, and the number of strata that it uses."""

    users: int
    items: int
    strata: int


class ScoreMass(Record):
    """A score over a selection: its mean, and the share of the sum over all samples."""

    mean: float
    share: float | None = None


class SweepSelection(Record):
    """A selection that is not stored."""

    coverage: SweepCoverage
    influence: ScoreMass | None = None
    effort: ScoreMass | None = None
    overall: ScoreMass


class SweepPoint(SweepSelection):
    """The selection of a job at some budget, beside a random one of the same size."""

    budget: int | float
    samples: int
    random: SweepSelection


class CurvePoint(Record):
    """The value of a curve after a number of steps; ``None`` if the value is not a number."""

    step: int
    value: float | None


class Curve(Record):
    """The course of a figure of a stage, such as ``train_loss``."""

    name: str
    stage: str
    run: int
    unit: str
    """``step`` or ``epoch``."""
    points: list[CurvePoint]


class AdapterFile(Record):
    """A file of a PEFT folder."""

    name: str
    bytes: int
    sha256: str
