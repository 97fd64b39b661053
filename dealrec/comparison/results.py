"""The records of ``report.json``, from which ``report.html`` is made. No torch is imported.

The metrics by name: ``preference``, the primary one where it is measured, and the others of
:func:`~dealrec.metrics.preference.preference_metrics` (``nll_others``: less is better; the others: more
is better), ``nll`` (nats of a held-out user's true title with its end; less is better),
``nll_per_token`` (``nll`` divided by the title's tokens; less is better), ``recall@K`` and ``ndcg@K``
(full ranking of the catalogue; more is better; absent if no ranking was asked for). Reports before
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
    """How many of the held-out users a ranking was made for; 0 means no ranking."""
    seen_items: str
    """How the ranking treats items that a user was seen with, in a sentence."""


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
    """How long the training took, without the states that were kept before it."""
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
    """The runs of both that share their seeds; reports before version 0.2 took runs as independent."""
    mean: float
    low: float
    high: float
    p_value: float
    """Two-sided, for this difference alone."""
    corrected_p_value: float
    """Corrected by Holm's method over every difference from the same control in the report; in the
    primary metric over those in the primary metric."""
    better: bool | None
    """Whether the selector is shown to be better (True) or worse (False), by a corrected p-value below
    0.05. ``None``: no difference could be shown, or there are fewer than five runs."""
    level_p_value: float | None = None
    """For the hypothesis that the difference is at least the smallest of interest, corrected in the same
    way; the primary metric has it."""
    level: bool | None = None
    """Whether the difference is shown to be smaller than that; ``None``: not asked, or too few runs."""


class Overlap(Result):
    """The mean Jaccard index of the coresets of each two selectors at a budget, paired by run."""

    budget: int
    selectors: list[str]
    jaccard: list[list[float]]
    """The diagonal compares different runs of one selector."""


class Cost(Result):
    """Seconds from data to adapter for one coreset, against training on everything."""

    selector: str
    budget: int
    stages: dict[str, float]
    """Time of what had to be computed before the selector could select, by stage."""
    select: float
    trunk: float
    """One pass of the frozen layers over the coreset's texts."""
    finetune: float
    total: float
    saved: float
    """1 − total / total of all data; negative if pruning costs more."""


class FullCost(Result):
    """Seconds of training on all samples with the same settings."""

    samples: int
    trunk: float
    finetune: float
    total: float
    measured: bool
    """Whether that training was made. If not, its time is extrapolated from the time a token took in the
    trainings on coresets."""


class Headroom(Result):
    """Whether there is anything to learn: training on all samples against the model as it is."""

    metric: str
    samples: int
    """How many the training took; fewer than all where all were too many."""
    runs: int
    untrained: Figure
    trained: Figure
    surrogate: Figure | None = None
    """The surrogate of the first run on the same candidates; ``None`` where none were asked about."""
    gain: Figure
    """By how much training is better, with its interval over users, and over runs if there are two."""
    found: bool
    """Whether the interval excludes no gain."""


class Exchanged(Result):
    """The best coreset, trained on with histories exchanged between its users.

    What such a training gains over the untrained model was not read from histories.
    """

    selector: str
    """The selector of the best mean at the largest budget."""
    budget: int
    metric: str
    loss: Figure
    """By how much exchanging makes it worse, with its interval."""
    kept: float
    """The share of the gain over the untrained model that is left; 0 where there was no gain."""


class Power(Result):
    """The difference that the runs and users of a comparison can show with a chance of 80 %."""

    metric: str
    runs: int
    users: int
    detectable: float
    """In the metric's unit, before Holm's correction."""
    spread: Spread
    """Standard deviations of paired differences from random selection that this follows from."""
    by_runs: dict[int, float] = Field(default_factory=dict)
    """``detectable`` for other numbers of runs, with as many users."""
    runs_needed: int | None
    """The runs that the smallest difference of interest takes; ``None``: no number of runs is enough,
    because it takes more users."""


class SameAgainstSame(Result):
    """A/A tests of random selection against itself, in which every difference shown is an error."""

    splits: int
    """How many ways of cutting the runs of random selection in two were tried; 0 means too few runs."""
    rejected: float
    """The share of them that showed a difference in the primary metric. The cuts share runs."""
    simulated_rejected: float
    """The same share in simulated runs with the spreads that were found; it should be 0.05 or less."""


class ComparisonReport(Result):
    """The content of ``report.json``."""

    version: int = 2
    primary: str = NLL
    """The metric that the verdict is about; reports of version 1 do not name it."""
    smoke: bool = False
    """Whether version 0.1 made the report with settings that are too small to show anything."""
    verdict: str
    """The result in plain sentences."""
    findings: list[str]
    """One finding for each selector and budget."""
    warnings: list[str]
    validation: list[str] = Field(default_factory=list)
    """How many rows of the files were accepted and rejected, why, and what looked odd."""
    headroom: Headroom | None = None
    """``None``: it was not asked for."""
    stopped: bool = False
    """Whether the comparison ended before any selector, because there is no headroom."""
    smallest_effect: float | None = None
    """The smallest difference of interest, named before the runs, in the primary metric's unit."""
    exchanged: Exchanged | None = None
    curve: Curve | None = None
    """How many samples are enough; ``None``: no curve was asked for, or the comparison stopped before."""
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
