"""What estimates look like over HTTP."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel

from dealrec.app.jobs.schemas import BudgetUse
from dealrec.config.stages import StageName


class Basis(StrEnum):
    """Where a stage's rate comes from."""

    FINISHED = "finished_stages"
    """Stages of the tenant that did the same kind of work here."""
    REFERENCE = "reference"
    """A machine of two cores without a GPU; nothing alike has finished here yet."""


class Calibration(BaseModel):
    """What the estimate of a stage rests on."""

    basis: Basis
    stages: int
    """Finished stages that the rate is the median of; 0 for ``reference``."""


class StageEstimate(BaseModel):
    """What one stage would cost on one worker."""

    name: StageName
    seconds: float
    peak_memory_bytes: int | None
    """The most that the stages it is calibrated on have held; null where none was measured."""
    reused: bool
    """Whether its result is there already, from an earlier job."""
    calibrated_on: Calibration


class Estimate(BaseModel):
    """What a job would cost, if it were made now."""

    object: Literal["estimate"] = "estimate"
    dataset_id: str
    budget: BudgetUse
    """Of a comparison: its largest."""
    seconds: float
    """Of all stages, one after the other; shards on several workers take less."""
    trainings: int | None = None
    """Of a comparison: over all selectors, budgets and seeds."""
    stages: list[StageEstimate]
