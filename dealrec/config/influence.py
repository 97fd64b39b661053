"""Options of the influence score."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from dealrec.config.base import Config, Listed


class Solver(StrEnum):
    """The solver of ``u = H⁻¹ v``."""

    CG = "cg"
    """Conjugate gradient, which is matrix-free and works for any parameter set."""
    EXACT = "exact"
    """The dense matrix in float64; for small parameter sets."""
    LISSA = "lissa"
    """The paper's recursion, on minibatches of the curvature examples."""


class RiskTarget(StrEnum):
    """The samples on whose risk influence is measured."""

    AUTO = "auto"
    """The validation split if there is one, else the training set; resolved when the data is known."""
    VALIDATION = "validation"
    """Each user's first validation item, given the user's training history."""
    TRAIN = "train"
    """The samples themselves."""
    RECENT = "recent"
    """The newest samples; the option ``recent`` says which share of all. Needs timestamps."""
    SAMPLES = "samples"
    """The samples named in ``target_samples``, on which the fine-tuned model should do well."""


class Risk(StrEnum):
    """The risk that is measured on the target's examples."""

    LIKELIHOOD = "likelihood"
    """The mean loss of the surrogate (the paper)."""
    PREFERENCE = "preference"
    """How well each history tells its own target from the targets of other examples, after each target's
    mean over all histories is subtracted, so that popularity does not count
    (:mod:`dealrec.influence.preference`)."""


class Curvature(StrEnum):
    """The matrix ``H``."""

    GAUSS_NEWTON = "gauss_newton"
    """The generalized Gauss-Newton matrix, which is always positive semi-definite."""
    HESSIAN = "hessian"


class InfluenceParameters(StrEnum):
    """The parameters of the surrogate that influence is measured through."""

    ATTENTION_OUTPUT = "attention_output"
    """The last attention output matrix (the paper's code), or the projection of ``gru4rec`` and ``content``.

    ``lightgcn`` has none.
    """
    ITEM_EMBEDDING = "item_embedding"
    """The item vectors in the inner products of scores; as inputs they count as constants."""
    LAST_BLOCK = "last_block"
    ALL = "all"


class SampleLoss(StrEnum):
    """The positions of a sample that its loss ``L(s)`` covers."""

    LAST = "last"
    """The target only."""
    SEQUENCE = "sequence"
    """The mean over all items but the first, the target included."""


class InfluenceConfig(Config):
    """Options of the influence score."""

    solver: Solver = Solver.CG
    target: RiskTarget = RiskTarget.AUTO
    """The examples on which the risk (the mean loss) is measured. Influence is how much this risk would
    change without a sample."""
    target_samples: Annotated[tuple[Annotated[str, Field(max_length=1000)], ...], Listed] = Field(
        (), max_length=10_000
    )
    """The keys of the samples to aim at, for the target ``samples`` only."""
    recent: float = Field(0.1, gt=0, le=1)
    """For the target ``recent``: the share of all samples, newest first, on which the risk is measured."""
    risk: Risk = Risk.LIKELIHOOD
    parameters: InfluenceParameters = InfluenceParameters.ITEM_EMBEDDING
    """The parameters of the surrogate through which influence is measured. ``item_embedding`` predicts the
    results of held-out trainings best."""
    curvature: Curvature = Curvature.GAUSS_NEWTON
    curvature_tokens: int = Field(1024, ge=1)
    """The number of loss positions from which the curvature is computed, spread evenly over the samples."""
    sample_loss: SampleLoss = SampleLoss.LAST
    loss_items: int | None = Field(None, ge=1)
    """The number of items that represent the catalogue in the loss, the same for all samples.

    If not set, all items are used. Set it for catalogues of 100,000 items or more, because the cost grows
    with samples times items.
    """
    damping: float = Field(1.0, gt=0, le=100)
    """δ as a multiple of the largest eigenvalue of the curvature.

    The larger it is, the nearer the minimum that ``newton_steps`` lead to is to the trained parameters.
    """
    newton_steps: int = Field(10, ge=0, le=1000)
    """The largest number of Newton steps that continue the training, of ``parameters`` only, before influence
    is measured.

    They lead towards the minimum of ``R(θ) + δ/2 ‖θ − θ₀‖²``, where influence is exact to first order, and
    end when the next one is shorter than a twentieth of the way so far, mostly after one to five. 0 measures
    influence at the trained parameters ``θ₀``: with 46,000 samples that takes 0.6 of the time and ranks them
    almost the same; with a few hundred it ranks them differently (``benchmarks/RESULTS.md``).
    """
    tolerance: float = Field(1e-5, gt=0, lt=1)
    """The relative residual ``‖Hu − v‖/‖v‖`` at which the solver has converged."""
    max_iterations: int | None = Field(None, ge=1, le=1_000_000)
    """The largest number of iterations. If not set, 200 for ``cg`` and 20,000 for ``lissa``."""
    minibatches: int = Field(1, ge=1, le=1000)
    """The number of minibatches of the curvature examples. Each step of ``lissa`` uses one."""
    seed: int = Field(0, ge=0, lt=2**31)
    """The random seed of the order of ``lissa``'s minibatches. Nothing else is random."""
    dtype: Literal["float32", "float64"] = "float32"
    """The number type of the differentiated model; scores are summed and kept in float64."""

    @model_validator(mode="after")
    def _targets_named(self) -> "InfluenceConfig":
        if self.target is RiskTarget.SAMPLES and not self.target_samples:
            raise ValueError("target `samples` needs the keys of the samples in target_samples")
        if self.target is not RiskTarget.SAMPLES and self.target_samples:
            raise ValueError("target_samples needs target `samples`")
        return self
