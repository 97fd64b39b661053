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
    """Finished stages that the rate is the median of; 0 for another basis."""


class StageEstimate(BaseModel):
    """The cost of one stage on one worker."""

    name: StageName
    seconds: float
    peak_memory_bytes: int | None
    """The most that the stages or the model it is calibrated on have held. Where nothing was measured, it
    follows from the size of the language model; null where there is none."""
    reused: bool
    """Whether its result is there already, from an earlier job."""
    runs: int = 1
    """For how many runs of a comparison the stage is made; ``seconds`` are those of all."""
    calibrated_on: Calibration


class Detectable(BaseModel):
    """The difference that a comparison can show, by the spreads of the tenant's latest one."""

    metric: str
    runs: int
    users: int
    """The users that the latest comparison asked."""
    difference: float
    """Shown four times out of five, before correction for many selectors."""


class Estimate(BaseModel):
    """The cost of a job that is made now."""

    object: Literal["estimate"] = "estimate"
    dataset_id: str
    budget: BudgetUse
    """The budget; in a comparison the largest."""
    seconds: float
    """The sum over all stages; shards on several workers take less time."""
    trainings: int | None = None
    """The number of trainings in a comparison, over all selectors, budgets and seeds."""
    detectable: Detectable | None = None
    """For a comparison; null while none with this language model has finished."""
    stages: list[StageEstimate]
    warnings: list[OptionNote] = []
    """Options that have no effect, or that the budget is too small for."""
