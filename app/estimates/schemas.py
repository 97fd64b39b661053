"""Estimates as the API gives them."""

from typing import Literal

from pydantic import BaseModel

from dealrec.app.jobs.pace import Basis
from dealrec.app.jobs.schemas import BudgetUse
from dealrec.app.kit.schemas import OptionNote
from dealrec.config.stages import StageName


class Calibration(BaseModel):
    """The basis of a stage's estimate."""

    basis: Basis
    stages: int
    """The number of finished stages whose median rate is used; 0 for another basis."""


class StageEstimate(BaseModel):
    """The cost of one stage on one worker."""

    name: StageName
    seconds: float
    peak_memory_bytes: int | None
    """The largest memory use measured in the stages, or of the model, on which the estimate is based.
    Without measurements it follows from the size of the language model; null without a language model."""
    reused: bool
    """Whether the result already exists, from an earlier job."""
    runs: int = 1
    """For how many runs of a comparison the stage runs; ``seconds`` is the total."""
    calibrated_on: Calibration


class Detectable(BaseModel):
    """The difference that a comparison can detect, from the spread in the tenant's latest one."""

    metric: str
    runs: int
    users: int
    """The number of users in the latest comparison."""
    difference: float
    """The difference that is detected four times out of five (a power of 80 %), before correction for
    many selectors."""


class Estimate(BaseModel):
    """What a job would cost if it were created now."""

    object: Literal["estimate"] = "estimate"
    dataset_id: str
    budget: BudgetUse
    """The budget; for a comparison, the largest one."""
    seconds: float
    """The sum over all stages. Shards that run on several workers take less time."""
    trainings: int | None = None
    """The number of trainings in a comparison, over all selectors, budgets and seeds."""
    detectable: Detectable | None = None
    """For a comparison: the difference that it can detect; null until one with this language model has
    finished."""
    stages: list[StageEstimate]
    warnings: list[OptionNote] = []
    """Options that have no effect, or for which the budget is too small."""
