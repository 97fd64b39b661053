"""The schemas of coresets over HTTP."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import BaseModel

from dealrec.app.kit.schemas import Body, OptionNote
from dealrec.app.tables.coresets import CoresetRow
from dealrec.config import Budget, SelectionConfig
from dealrec.config.unread import selection_warnings
from dealrec.errors import FieldError, InputError


class CoresetCreate(Body):
    """A request for another selection from a job's scores; the job's values are the defaults."""

    budget: Budget | None = None
    selection: dict[str, object] = {}  # noqa: RUF012
    """Fields of ``SelectionConfig``."""


class StratumUse(BaseModel):
    """A stratum ``[low, high]`` of the overall score: how many samples it has, and how many were selected."""

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
    """A stored selection."""

    id: str
    object: Literal["coreset"] = "coreset"
    name: str
    job_id: str
    dataset_id: str
    size: int
    selection: dict[str, Any]
    sha256: str
    coverage: Coverage
    created_at: datetime
    warnings: list[OptionNote] = []
    """Options of ``selection`` that have no effect, or for which the coreset is too small."""

    @classmethod
    def of(cls, row: CoresetRow) -> Self:
        """Make the schema of a row."""
        coreset = cls.model_validate(row, from_attributes=True)
        return coreset.model_copy(update={"warnings": OptionNote.of_all(_warnings(row))})


def _warnings(row: CoresetRow) -> list[FieldError]:
    """Find the warnings anew: they follow from what is stored. An older version's row may have none."""
    try:
        selection = SelectionConfig.parse(row.selection, location="selection")
    except InputError:
        return []
    return selection_warnings(selection, row.size, "selection")


class CoresetSample(BaseModel):
    """A member of a coreset."""

    sample_key: str
    user_id: str
    history: list[str]
    target: str | None
    """Null, with an empty history, for texts without ids."""
    instruction: str
    input: str
    output: str
    influence: float | None
    """Null for texts without ids."""
    effort: float | None
    overall: float
    stratum: int | None


class ScoreTriple(BaseModel):
    """A number for each score; ``effort`` is null if no language model measured it."""

    influence: float | None
    effort: float | None
    overall: float | None


class Reason(StrEnum):
    """Why a sample is in a coreset or not."""

    WHOLE_STRATUM = "whole_stratum"
    """Selected: all samples of its stratum were selected."""
    WITHIN_QUOTA = "within_quota"
    """Selected: it is one of the samples that were selected from its stratum."""
    OUTSIDE_QUOTA = "outside_quota"
    """Left out: other samples of its stratum were selected."""
    HARD_PRUNED = "hard_pruned"
    """Left out: its overall score is among the highest, which were dropped before strata were cut."""
    NOT_CANDIDATE = "not_candidate"
    """Left out: its effort was not measured, because it is not among the candidates."""


class Explanation(BaseModel):
    """The place of a sample in a selection, and the reason why it was selected or left out."""

    object: Literal["explanation"] = "explanation"
    coreset_id: str
    sample_key: str
    selected: bool
    reason: Reason
    detail: str
    scores: ScoreTriple
    percentiles: ScoreTriple
    """Percentiles from 0 to 100: the share of samples with a lower score, plus half of those with the
    same score."""
    stratum: StratumUse | None
    quota: int | None
    """The number of samples that were selected from the stratum; null for a sample without a stratum."""


class StratumDiff(BaseModel):
    """The samples that two coresets take from a stratum; ``index`` is null for samples without one."""

    index: int | None
    kept: int
    gained: int
    lost: int


class CoresetDiff(BaseModel):
    """The differences between a coreset and another one.

    The keys are the first thousand of each kind; the strata are those of the coreset itself.
    """

    object: Literal["coreset_diff"] = "coreset_diff"
    coreset_id: str
    against: str
    kept: int
    """The number of samples in both."""
    gained: int
    """The number of samples only in this one."""
    lost: int
    """The number of samples only in the other one."""
    jaccard: float
    strata: list[StratumDiff]
    gained_keys: list[str]
    lost_keys: list[str]


class SweepCoverage(BaseModel):
    """The numbers of distinct users and items, and of strata with at least one selected sample."""

    users: int
    items: int
    strata: int


class ScoreMass(BaseModel):
    """How much of a score a selection holds."""

    mean: float
    """The mean of the raw score over the selection."""
    share: float | None
    """The share of the normalised score's sum over all samples; null if that sum is 0."""


class SweepSelection(BaseModel):
    """A selection that is not stored."""

    coverage: SweepCoverage
    influence: ScoreMass | None
    """Null for texts without ids."""
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
