"""What a comparison found: ``report.json``, from which ``report.html`` is made. Torch-free.

Metrics by name: ``nll`` (nats of a held-out user's true title, its end included; less is better: the
primary one), ``nll_per_token`` (the same over its tokens; less is better), ``order_gain`` (nats that a
shuffled history costs; more is better), ``recall@K`` and ``ndcg@K`` (full ranking of the catalogue;
more is better), absent where no ranking was asked for.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

PRIMARY = "nll"
LESS_IS_BETTER = frozenset({"nll", "nll_per_token"})


class _Result(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class Data(_Result):
    """The data set, and who is held out."""

    sha256: str
    users: int
    items: int
    samples: int
    sampling: str
    split_method: str
    held_out: str
    """``valid`` or ``test``."""
    held_out_users: int
    ranking_users: int
    """Of them; 0: no ranking."""
    seen_items: str
    """How the ranking treats what a user was seen with, in a sentence."""


class Model(_Result):
    """The target recommender."""

    name: str
    revision: str
    trained_layers: int
    layers: int
    device: str


class Compared(_Result):
    """A selector as it was run."""

    label: str
    method: str
    summary: str
    selection: dict[str, Any]
    runs: int


class ReportedRun(_Result):
    """One selection, one training, one measurement."""

    selector: str
    """A label, or ``all data``."""
    budget: int
    number: int
    selection_seed: int
    training_seed: int
    coreset_sha256: str
    metrics: dict[str, float]
    """Means over held-out users."""
    train_loss: float
    steps: int
    tokens: int
    """Read in training, over all epochs."""
    select_seconds: float
    finetune_seconds: float
    """What the training took, kept states made before not counted."""
    evaluate_seconds: float


class Figure(_Result):
    """A mean over runs and held-out users with its 95 % interval over both."""

    mean: float
    low: float
    high: float


class Row(_Result):
    """All runs of a selector at a budget."""

    selector: str
    budget: int
    runs: int
    metrics: dict[str, Figure]


class Compare(_Result):
    """``selector`` less ``against``, in one metric at one budget: 95 % interval and test."""

    selector: str
    against: str
    budget: int
    metric: str
    mean: float
    low: float
    high: float
    p_value: float
    """Two-sided, of this difference alone."""
    corrected_p_value: float
    """Holm's, over every difference from the same control in the report (the primary metric: over
    those in the primary metric)."""
    better: bool | None
    """Whether the selector is shown to be better (True) or worse (False): its corrected p-value is
    below 0.05. ``None``: no difference could be shown."""


class Overlap(_Result):
    """Mean Jaccard index of the coresets of two selectors at a budget, run beside run."""

    budget: int
    selectors: list[str]
    jaccard: list[list[float]]
    """The diagonal is of different runs of one selector."""


class Cost(_Result):
    """Seconds from data to adapter for one coreset, against training on everything."""

    selector: str
    budget: int
    stages: dict[str, float]
    """What had to be computed before the selector could choose, by stage."""
    select: float
    trunk: float
    """Running the layers below the trained ones over the coreset's texts, once."""
    finetune: float
    total: float
    saved: float
    """1 − total / that of all data; negative where pruning costs more."""


class FullCost(_Result):
    """Seconds of training on all samples with the same settings."""

    samples: int
    trunk: float
    finetune: float
    total: float
    measured: bool
    """Whether that training was made; else its seconds are those of a token of the coresets' trainings
    times its tokens."""


class SameAgainstSame(_Result):
    """A/A tests: random selection against itself, where every difference shown is an error."""

    splits: int
    """Ways of cutting the runs of random selection in two that were tried; 0: too few runs."""
    rejected: float
    """Share of these that showed a difference in the primary metric; they share runs."""
    simulated_rejected: float
    """The same of simulated runs with the spreads that were found: 0.05 or less is right."""


class ComparisonReport(_Result):
    """``report.json``."""

    version: int = 1
    smoke: bool
    """Whether the settings are those of a run that can show no small difference."""
    verdict: str
    """A plain sentence."""
    findings: list[str]
    """One for each selector and budget."""
    warnings: list[str]
    data: Data
    model: Model
    selectors: list[Compared]
    budgets: list[int]
    untrained: dict[str, float]
    """Metrics of the language model as it is."""
    runs: list[ReportedRun]
    """Those on all data last."""
    table: list[Row]
    differences: list[Compare]
    """From random selection and, where it was run, from ``stratified_random``."""
    overlap: list[Overlap]
    costs: list[Cost]
    full_cost: FullCost
    same_against_same: SameAgainstSame
    config: dict[str, Any]
    """Of the comparison, resolved: running it again gives the same coresets."""
