"""The records of ``report.json``, from which ``report.html`` is made. This module does not import torch.

The metrics by name: ``preference``, the primary one if it is measured, and the others of
:func:`~dealrec.metrics.preference.preference_metrics` (``nll_others``: less is better; the others: more
is better), ``nll`` (nats of a held-out user's true title with its end; less is better),
``nll_per_token`` (``nll`` divided by the title's tokens; less is better), ``recall@K`` and ``ndcg@K``
(full ranking of the catalogue; more is better; absent if the catalogue was not ranked). Reports before
version 0.2 have ``order_gain`` (nats that a shuffled history costs).
"""

from typing import Any

from pydantic import Field

from dealrec.config.curve import Curve, Figure, Result

PREFERENCE, NLL = "preference", "nll"
LESS_IS_BETTER = frozenset({"nll", "nll_per_token", "nll_others"})


class Data(Result):
    """The data set and its held-out users."""

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
    """For how many of the held-out users the catalogue was ranked; 0 means no ranking."""
    seen_items: str
    """A sentence that says how the ranking treats items that a user had chosen before."""


class Model(Result):
    """The language model that was trained."""

    name: str
    revision: str
    trained_layers: int
    layers: int
    device: str


class Compared(Result):
    """A selector and the options that it was run with."""

    label: str
    method: str
    summary: str
    selection: dict[str, Any]
    runs: int


class ReportedRun(Result):
    """One selection, one training and one measurement."""

    selector: str
    """A selector's label, or ``all data``."""
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
    """Tokens read in training, over all epochs."""
    select_seconds: float
    finetune_seconds: float
    """How long the training took, without computing the states of frozen layers beforehand."""
    evaluate_seconds: float


class Row(Result):
    """All runs of a selector at a budget."""

    selector: str
    budget: int
    runs: int
    metrics: dict[str, Figure]


class Spread(Result):
    """Standard deviations of the effect of a user, of a run, and of a user in a run."""

    users: float
    runs: float
    noise: float


class Compare(Result):
    """The difference ``selector`` less ``against`` in one metric at one budget: 95 % interval and test."""

    selector: str
    against: str
    budget: int
    metric: str
    runs: int | None = None
    """The number of runs of both that share their seeds; reports before version 0.2 treated runs as
    independent."""
    mean: float
    low: float
    high: float
    p_value: float
    """The two-sided p-value of this difference alone."""
    corrected_p_value: float
    """Corrected by Holm's method over every difference from the same control in the report; in the
    primary metric over those in the primary metric."""
    better: bool | None
    """Whether the selector is shown to be better (True) or worse (False), with a corrected p-value below
    0.05. ``None``: no difference could be shown, or there are fewer than five runs."""
    level_p_value: float | None = None
    """The p-value of the hypothesis that the difference is at least the smallest one of interest,
    corrected in the same way. Only the primary metric has it."""
    level: bool | None = None
    """Whether the difference is shown to be smaller than that; ``None``: not tested, or too few runs."""


class Overlap(Result):
    """The mean Jaccard index of the coresets of each two selectors at a budget, paired by run."""

    budget: int
    selectors: list[str]
    jaccard: list[list[float]]
    """The diagonal compares different runs of the same selector."""


class Cost(Result):
    """The seconds from data to adapter for one coreset, compared with training on everything."""

    selector: str
    budget: int
    stages: dict[str, float]
    """The seconds of everything that had to be computed before the selector could select, by stage."""
    select: float
    trunk: float
    """The seconds of one pass of the frozen layers over the coreset's texts."""
    finetune: float
    total: float
    saved: float
    """1 − total / total of all data; negative if pruning costs more."""


class FullCost(Result):
    """The seconds of a training on all samples with the same settings."""

    samples: int
    trunk: float
    finetune: float
    total: float
    measured: bool
    """Whether that training was run. If not, its time is extrapolated from the time per token in the
    trainings on coresets."""


class Headroom(Result):
    """Whether there is anything to learn: training on all samples compared with the model before training."""

    metric: str
    samples: int
    """The number of samples of the training; fewer than all if all were too many."""
    runs: int
    untrained: Figure
    trained: Figure
    surrogate: Figure | None = None
    """The surrogate of the first run on the same candidates; ``None`` if there are no candidates."""
    gain: Figure
    """How much better the trained model is, with its interval over users, and over runs if there are at
    least two."""
    found: bool
    """Whether the interval excludes no gain."""


class Exchanged(Result):
    """The best coreset, trained on with histories exchanged between its users.

    What such a training still gains over the untrained model does not come from reading histories.
    """

    selector: str
    """The selector with the best mean at the largest budget."""
    budget: int
    metric: str
    loss: Figure
    """How much worse exchanging histories makes it, with its interval."""
    kept: float
    """The share of the gain over the untrained model that is left; 0 where there was no gain."""


class Power(Result):
    """The difference that the runs and users of a comparison detect with a probability of 80 %."""

    metric: str
    runs: int
    users: int
    detectable: float
    """The detectable difference in the metric's unit, before Holm's correction."""
    spread: Spread
    """The standard deviations of paired differences from random selection from which this follows."""
    by_runs: dict[int, float] = Field(default_factory=dict)
    """``detectable`` for other numbers of runs, with as many users."""
    runs_needed: int | None
    """The number of runs that it takes to detect the smallest difference of interest; ``None``: no number
    of runs is enough, because it takes more users."""


class SameAgainstSame(Result):
    """A/A tests, which compare random selection with itself, so that every difference found is an error."""

    splits: int
    """In how many ways the runs of random selection were split into two halves; 0 means too few runs."""
    rejected: float
    """The share of these splits that showed a difference in the primary metric. Splits share runs."""
    simulated_rejected: float
    """The same share in simulated runs with the measured spread; it should be 0.05 or less."""


class ComparisonReport(Result):
    """The content of ``report.json``."""

    version: int = 2
    primary: str = NLL
    """The metric that the verdict is about; reports of version 1 do not name it."""
    smoke: bool = False
    """Whether the report was made by version 0.1 with settings that are too small to show anything."""
    verdict: str
    """The result in plain sentences."""
    findings: list[str]
    """One finding for each selector and budget."""
    warnings: list[str]
    validation: list[str] = Field(default_factory=list)
    """Sentences about the validation: how many rows were accepted and rejected, why, and what looked odd."""
    headroom: Headroom | None = None
    """``None`` if it was not checked."""
    stopped: bool = False
    """Whether the comparison stopped before any selector was trained on, because there is no headroom."""
    smallest_effect: float | None = None
    """The smallest difference of interest, named before the runs, in the primary metric's unit."""
    exchanged: Exchanged | None = None
    curve: Curve | None = None
    """How many samples are enough; ``None`` if no curve was requested, or the comparison stopped before."""
    power: Power | None = None
    data: Data
    model: Model
    selectors: list[Compared]
    budgets: list[int]
    untrained: dict[str, float]
    """Metrics of the language model without an adapter."""
    runs: list[ReportedRun]
    """All runs; those on all data and on exchanged histories come last."""
    table: list[Row]
    differences: list[Compare]
    """Differences from every control."""
    overlap: list[Overlap]
    costs: list[Cost]
    full_cost: FullCost
    same_against_same: SameAgainstSame | None = None
    config: dict[str, Any]
    """The resolved configuration of the comparison; running it again gives the same coresets."""
