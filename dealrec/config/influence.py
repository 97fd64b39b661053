"""Options of the influence score."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from dealrec.config.base import Config


class Solver(StrEnum):
    """How ``u = H⁻¹ v`` is solved."""

    CG = "cg"


class RiskTarget(StrEnum):
    """Whose risk a sample's influence is measured on."""

    AUTO = "auto"
    """The validation split where there is one, else the training set; resolved when the data is known."""
    VALIDATION = "validation"
    """Each user's first validation item, given the user's training history."""
    TRAIN = "train"
    """The samples themselves."""


class Curvature(StrEnum):
    """The matrix ``H``."""

    GAUSS_NEWTON = "gauss_newton"
    """Generalized Gauss-Newton: positive semi-definite always."""
    HESSIAN = "hessian"


class InfluenceParameters(StrEnum):
    """The parameters of the surrogate that influence is measured through."""

    ATTENTION_OUTPUT = "attention_output"
    """The last attention output matrix (the paper's code); of ``gru4rec``, the projection of its state."""
    ITEM_EMBEDDING = "item_embedding"
    LAST_BLOCK = "last_block"
    ALL = "all"


class SampleLoss(StrEnum):
    """What ``L(s)`` of a sample covers."""

    LAST = "last"
    """The target alone."""
    SEQUENCE = "sequence"
    """The mean over every item that has one before it, the target included."""


class InfluenceConfig(Config):
    """How a sample's influence on the risk is computed."""

    solver: Solver = Solver.CG
    target: RiskTarget = RiskTarget.AUTO
    parameters: InfluenceParameters = InfluenceParameters.ATTENTION_OUTPUT
    curvature: Curvature = Curvature.GAUSS_NEWTON
    curvature_tokens: int = Field(8192, ge=1)
    """Loss positions that the curvature is estimated on, spread evenly over the samples."""
    sample_loss: SampleLoss = SampleLoss.LAST
    loss_items: int | None = Field(None, ge=1)
    """Items that stand for the catalogue in the loss, the same for all samples; null: all items.

    For catalogues of 100,000 items and more, where samples times items is what a run costs.
    """
    damping: float = Field(0.01, gt=0, le=100)
    """δ as a multiple of the largest eigenvalue of the curvature."""
    tolerance: float = Field(1e-5, gt=0, lt=1)
    """The relative residual ``‖Hu − v‖/‖v‖`` at which the solver has converged."""
    max_iterations: int = Field(200, ge=1, le=100_000)
    dtype: Literal["float32", "float64"] = "float32"
    """Of the model while it is differentiated; scores are summed and kept in float64."""
