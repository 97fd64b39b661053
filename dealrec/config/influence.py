"""Options of the influence score."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from dealrec.config.base import Config


class Solver(StrEnum):
    """How ``u = H⁻¹ v`` is solved."""

    CG = "cg"
    """Conjugate gradient: matrix-free, for any parameter set."""
    EXACT = "exact"
    """The dense matrix in float64; for small parameter sets."""
    LISSA = "lissa"
    """The paper's recursion, on minibatches of the curvature examples."""


class RiskTarget(StrEnum):
    """Whose risk a sample's influence is measured on."""

    AUTO = "auto"
    """The validation split where there is one, else the training set; resolved when the data is known."""
    VALIDATION = "validation"
    """Each user's first validation item, given the user's training history."""
    TRAIN = "train"
    """The samples themselves."""
    SAMPLES = "samples"
    """The samples that ``target_samples`` names: what the tuned model should be good at."""


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
    """The item vectors that scores are inner products with; where items are read by them, they stay."""
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
    target_samples: tuple[Annotated[str, Field(max_length=1000)], ...] = Field(
        (), max_length=10_000
    )
    """Keys of samples, for the target ``samples`` alone."""
    parameters: InfluenceParameters = InfluenceParameters.ITEM_EMBEDDING
    """Measured on held-out trainings, ``item_embedding`` predicts best (``benchmarks/RESULTS.md``)."""
    curvature: Curvature = Curvature.GAUSS_NEWTON
    curvature_tokens: int = Field(1024, ge=1)
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
    max_iterations: int | None = Field(None, ge=1, le=1_000_000)
    """Null: 200 for ``cg``, 20,000 for ``lissa``."""
    minibatches: int = Field(1, ge=1, le=1000)
    """Parts of the curvature examples that ``lissa`` steps on; 1: all of them every step."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Of the order of ``lissa``'s minibatches. Nothing else is drawn."""
    dtype: Literal["float32", "float64"] = "float32"
    """Of the model while it is differentiated; scores are summed and kept in float64."""

    @model_validator(mode="after")
    def _targets_named(self) -> "InfluenceConfig":
        if self.target is RiskTarget.SAMPLES and not self.target_samples:
            raise ValueError("target `samples` needs target_samples, the keys of the samples")
        if self.target is not RiskTarget.SAMPLES and self.target_samples:
            raise ValueError("target_samples is for target `samples` alone")
        return self
