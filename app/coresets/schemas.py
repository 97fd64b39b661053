"""What coresets look like over HTTP."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import BaseModel

from dealrec.app.kit.schemas import Body
from dealrec.app.tables.coresets import CoresetRow
from dealrec.config import Budget


class CoresetCreate(Body):
    """Another selection from a job's scores; what is left out is the job's."""

    budget: Budget | None = None
    selection: dict[str, object] = {}  # noqa: RUF012
    """Fields of ``SelectionConfig``."""


class StratumUse(BaseModel):
    """A stratum ``[low, high]`` of the overall score: how many samples it had and gave."""

    index: int
    low: float
    high: float
    available: int
    selected: int


class Coverage(BaseModel):
    """Distinct users and items in the samples, and how each stratum was used."""

    users: int
    items: int
    strata: list[StratumUse]


class Coreset(BaseModel):
    """A selection that is kept."""

    id: str
    object: Literal["coreset"] = "coreset"
    job_id: str
    dataset_id: str
    size: int
    selection: dict[str, Any]
    sha256: str
    coverage: Coverage
    created_at: datetime

    @classmethod
    def of(cls, row: CoresetRow) -> Self:
        """The row in the contract's words."""
        return cls.model_validate(row, from_attributes=True)


class CoresetSample(BaseModel):
    """A member of a coreset."""

    sample_key: str
    user_id: str
    history: list[str]
    target: str
    instruction: str
    input: str
    output: str
    influence: float
    effort: float | None
    overall: float
    stratum: int | None


class ScoreTriple(BaseModel):
    """A number for each score; ``effort`` is null where no language model was asked."""

    influence: float | None
    effort: float | None
    overall: float | None


class Reason(StrEnum):
    """Why a sample is in a coreset or not."""

    WHOLE_STRATUM = "whole_stratum"
    """In: its stratum gave every sample it had."""
    WITHIN_QUOTA = "within_quota"
    """In: one of those that its stratum gave."""
    OUTSIDE_QUOTA = "outside_quota"
    """Out: its stratum gave others."""
    HARD_PRUNED = "hard_pruned"
    """Out: among the highest overall scores, which were dropped before strata were cut."""
    NOT_CANDIDATE = "not_candidate"
    """Out: its effort was never measured, since it is outside the pool of candidates."""


class Explanation(BaseModel):
    """Where a sample stood in a selection, and what became of it."""

    object: Literal["explanation"] = "explanation"
    coreset_id: str
    sample_key: str
    selected: bool
    reason: Reason
    detail: str
    scores: ScoreTriple
    percentiles: ScoreTriple
    """0 to 100: the share of samples below, and half of those that are equal."""
    stratum: StratumUse | None
    quota: int | None
    """How many samples the stratum gives; null for a sample that is in no stratum."""


class StratumDiff(BaseModel):
    """What two coresets take from a stratum; ``index`` is null for samples that are in none."""

    index: int | None
    kept: int
    gained: int
    lost: int


class CoresetDiff(BaseModel):
    """How a coreset differs from the one that it is set against.

    The keys are the first thousand of each kind; strata are those of the coreset itself.
    """

    object: Literal["coreset_diff"] = "coreset_diff"
    coreset_id: str
    against: str
    kept: int
    """Samples in both."""
    gained: int
    """Samples in this one alone."""
    lost: int
    """Samples in the other one alone."""
    jaccard: float
    strata: list[StratumDiff]
    gained_keys: list[str]
    lost_keys: list[str]


class SweepCoverage(BaseModel):
    """Distinct users and items of a selection, and the strata that gave at least one sample."""

    users: int
    items: int
    strata: int


class ScoreMass(BaseModel):
    """What a selection holds of a score."""

    mean: float
    """Of the raw score over the selection."""
    share: float | None
    """Of the normalised score's sum over all samples; null where that sum is 0."""


class SweepSelection(BaseModel):
    """A selection that is not kept."""

    coverage: SweepCoverage
    influence: ScoreMass
    effort: ScoreMass | None
    overall: ScoreMass


class SweepPoint(SweepSelection):
    """The job's selection at a budget, beside a random one of the same size."""

    budget: int | float
    samples: int
    random: SweepSelection


class BudgetSweep(BaseModel):
    """The job's selection at several budgets."""

    object: Literal["budget_sweep"] = "budget_sweep"
    job_id: str
    data: list[SweepPoint]
