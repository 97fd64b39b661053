"""Options of the influence score."""

from enum import StrEnum

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
    TRAIN = "train"


class Curvature(StrEnum):
    """The matrix ``H``."""

    GAUSS_NEWTON = "gauss_newton"
    """Generalized Gauss-Newton: positive semi-definite always."""
    HESSIAN = "hessian"


class InfluenceParameters(StrEnum):
    """The parameters of the surrogate that influence is measured through."""

    ATTENTION_OUTPUT = "attention_output"
    """The last attention output matrix (the paper's code)."""
    ITEM_EMBEDDING = "item_embedding"
    LAST_BLOCK = "last_block"
    ALL = "all"


class SampleLoss(StrEnum):
    """What ``L(s)`` of a sample covers."""

    LAST = "last"
    """The target alone."""
    SEQUENCE = "sequence"
    """Every position of the history, and the target."""


class InfluenceConfig(Config):
    """How a sample's influence on the risk is computed."""

    solver: Solver = Solver.CG
    target: RiskTarget = RiskTarget.AUTO
    parameters: InfluenceParameters = InfluenceParameters.ATTENTION_OUTPUT
    curvature: Curvature = Curvature.GAUSS_NEWTON
    sample_loss: SampleLoss = SampleLoss.LAST
    damping: float = Field(0.01, gt=0, le=100)
    """δ as a multiple of the largest eigenvalue of the curvature."""
    tolerance: float = Field(1e-5, gt=0, lt=1)
    """The relative residual ``‖Hu − v‖/‖v‖`` at which the solver has converged."""
    max_iterations: int = Field(200, ge=1, le=100_000)
