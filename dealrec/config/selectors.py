"""The selectors by name: what each is, reads and needs. Listing them loads none of them.

Examples:
    >>> entry = SELECTORS[SelectionMethod.D2]
    >>> entry.summary
    'Takes hard samples, but not several from one neighbourhood, by passing messages over a graph.'
    >>> [need.value for need in listed_needs(entry)]
    ['grand', 'embedding']
"""

from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import Any

from dealrec.config.selection import SelectionConfig, SelectionMethod


class Need(StrEnum):
    """Something about the samples that a selector looks at."""

    INFLUENCE = "influence"
    EFFORT = "effort"
    TARGETS = "targets"
    """The item that each sample's answer names; its popularity is the number of such samples."""
    HISTORY_LENGTHS = "history_lengths"
    TIMES = "times"
    """The timestamp of each sample's target; data that are ordered by position have none."""
    EL2N = "el2n"
    GRAND = "grand"
    LIKELIHOOD = "likelihood"
    """The surrogate's log-probability of the target after the history."""
    IFD = "ifd"
    """The language model's loss of the target with the history over that without."""
    EMBEDDING = "embedding"
    """A vector of every sample: the surrogate's state or the language model's hidden state."""
    VALIDATION_EMBEDDING = "validation_embedding"
    """The vectors of validation samples."""
    GRADIENTS = "gradients"
    """Projected gradients of the language model on every sample."""
    VALIDATION_GRADIENTS = "validation_gradients"
    TITLES = "titles"
    """Every sample as titles, and a vector of the language model for every title."""
    VALIDATION_TITLES = "validation_titles"


@dataclass(frozen=True)
class SelectorEntry:
    """The facts that a person needs to choose a selector."""

    method: SelectionMethod
    summary: str
    source: str
    implementation: str
    """``module:function``."""
    needs: tuple[Need, ...]
    """The scores that it uses. A selector that reads ``difficulty`` or ``turn_vectors`` also uses what is
    named there."""
    parameters: tuple[str, ...]
    """The fields of :class:`~dealrec.config.SelectionConfig` that it reads."""
    overall: str = "normalised influence + λ · effort"
    """The overall score that it reports; a selector that uses no score reports the default."""
    strata: str = "All samples are one stratum."
    """A sentence that says what its strata are."""
    trains: bool = False
    """Whether it trains a model while it selects; it then takes a reporter, and minutes."""

    @property
    def weighs_effort(self) -> bool:
        """Whether it adds effort to influence with the weight λ."""
        return "effort_weight" in self.parameters

    def load(self) -> Any:
        """Import the implementation, a :class:`dealrec.selection.interface.Selector`."""
        module, _, name = self.implementation.partition(":")
        return getattr(import_module(module), name)


_DEALREC = "Lin et al., SIGIR 2024, arXiv 2401.17197"
_STRATA = ("effort_weight", "strata", "stratum_edges", "normalisation", "hard_prune", "seed")
_TRAINING = (
    *("trainings", "training_epochs", "training_batch", "training_rate"),
    *("training_temperature", "training_decay", "training_dimensions"),
)
_SHARES = (
    "Every stratum gives its share, the smallest first; what a small one cannot give falls to "
    "larger ones."
)

SELECTORS: dict[SelectionMethod, SelectorEntry] = {
    entry.method: entry
    for entry in (
        SelectorEntry(
            SelectionMethod.BALANCED,
            "Draws at random from strata of popularity and history length, without the most harmful samples.",
            "Our own",
            "dealrec.selection.balanced:select_balanced",
            (Need.INFLUENCE, Need.TARGETS, Need.HISTORY_LENGTHS),
            ("strata", "length_strata", "harmful_prune", "seed"),
            overall="influence by rank",
            strata="Strata are ranges of popularity and history length; each gives its share.",
        ),
        SelectorEntry(
            SelectionMethod.DEALREC,
            "Draws at random from strata of influence + λ · effort, without the highest scores.",
            _DEALREC,
            "dealrec.selection.stratified:select_stratified",
            (Need.INFLUENCE, Need.EFFORT),
            _STRATA,
            strata=_SHARES,
        ),
        SelectorEntry(
            SelectionMethod.DEALREC_PAPER,
            "Runs the published method from end to end, with its own influence, effort and selection.",
            _DEALREC,
            "dealrec.selection.paper:select_as_published",
            (Need.INFLUENCE, Need.EFFORT),
            ("effort_weight", "strata", "seed"),
            strata=_SHARES,
        ),
        SelectorEntry(
            SelectionMethod.RANDOM,
            "Draws at random from all samples: the control.",
            "-",
            "dealrec.selection.uniform:select_uniform",
            (),
            ("seed",),
        ),
        SelectorEntry(
            SelectionMethod.STRATIFIED_RANDOM,
            "Draws at random, in proportion, from strata of the target's popularity: the stronger control.",
            "-",
            "dealrec.selection.popularity:select_by_popularity",
            (Need.TARGETS,),
            ("strata", "seed"),
            overall="popularity of the target",
            strata="Strata are ranges of popularity, each of about as many samples; each gives its share.",
        ),
        SelectorEntry(
            SelectionMethod.INFLUENCE,
            "Takes the samples with the highest influence.",
            _DEALREC + " (its ablation)",
            "dealrec.selection.influence:select_by_influence",
            (Need.INFLUENCE,),
            ("seed",),
            overall="normalised influence",
        ),
        SelectorEntry(
            SelectionMethod.INFLUENCE_STRATA,
            "Draws at random from strata of influence alone, and leaves nothing out.",
            _DEALREC + " (without effort)",
            "dealrec.selection.influence_strata:select_influence_strata",
            (Need.INFLUENCE,),
            ("strata", "seed"),
            overall="normalised influence",
            strata=_SHARES,
        ),
        SelectorEntry(
            SelectionMethod.THINNED_INFLUENCE,
            "Takes the samples with the highest influence, but only a few of each target.",
            "Our own",
            "dealrec.selection.thinned_influence:select_thinned",
            (Need.INFLUENCE, Need.TARGETS),
            ("per_target", "seed"),
            overall="influence by rank",
        ),
        SelectorEntry(
            SelectionMethod.EFFORT,
            "Takes the samples with the highest effort.",
            _DEALREC + " (its ablation)",
            "dealrec.selection.effort:select_by_effort",
            (Need.EFFORT,),
            ("seed",),
            overall="normalised effort",
        ),
        SelectorEntry(
            SelectionMethod.EL2N,
            "Takes the samples on which the surrogate errs most (EL2N).",
            "Paul et al., NeurIPS 2021, arXiv 2107.07075",
            "dealrec.selection.el2n:select_by_el2n",
            (Need.EL2N,),
            ("seed",),
            overall="normalised EL2N",
        ),
        SelectorEntry(
            SelectionMethod.GRAND,
            "Takes the samples with the largest gradient norm in the surrogate (GraNd).",
            "Paul et al., NeurIPS 2021, arXiv 2107.07075",
            "dealrec.selection.grand:select_by_grand",
            (Need.GRAND,),
            ("seed",),
            overall="normalised GraNd",
        ),
        SelectorEntry(
            SelectionMethod.CCS,
            "Draws at random from strata of difficulty, without the hardest samples.",
            "Zheng et al., ICLR 2023, arXiv 2210.15809",
            "dealrec.selection.ccs:select_with_coverage",
            (),
            ("difficulty", "strata", "hard_prune", "seed"),
            overall="normalised difficulty",
            strata=_SHARES,
        ),
        SelectorEntry(
            SelectionMethod.MODERATE,
            "Takes the samples at a medium distance from the centre of their cluster.",
            "Xia et al., ICLR 2023 (Moderate Coreset)",
            "dealrec.selection.moderate:select_moderate",
            (Need.EMBEDDING,),
            ("clusters", "seed"),
            overall="distance from the cluster's centre",
        ),
        SelectorEntry(
            SelectionMethod.D2,
            "Takes hard samples, but not several from one neighbourhood, by passing messages over a graph.",
            "Maharana et al., ICLR 2024, arXiv 2310.07931",
            "dealrec.selection.d2:select_by_messages",
            (Need.EMBEDDING,),
            ("difficulty", "neighbours", "forward_decay", "reverse_decay", "seed"),
            overall="difficulty with that of the neighbours",
        ),
        SelectorEntry(
            SelectionMethod.K_CENTER,
            "Repeatedly takes the sample that is farthest from those already selected.",
            "Sener and Savarese, ICLR 2018, arXiv 1708.00489",
            "dealrec.selection.k_center:select_centers",
            (Need.EMBEDDING,),
            ("seed",),
        ),
        SelectorEntry(
            SelectionMethod.HERDING,
            "Takes samples whose mean vector is closest to the mean of all samples (herding).",
            "Welling, ICML 2009; Rebuffi et al., CVPR 2017, arXiv 1611.07725",
            "dealrec.selection.herding:select_by_herding",
            (Need.EMBEDDING,),
            ("seed",),
        ),
        SelectorEntry(
            SelectionMethod.TF_DCON,
            "Takes the samples closest to the centre of each cluster.",
            "In the style of Wu et al. 2023, arXiv 2310.09874",
            "dealrec.selection.tf_dcon:select_cluster_middles",
            (Need.EMBEDDING,),
            ("clusters", "seed"),
            overall="distance from the cluster's centre",
            strata="Strata are clusters; each gives its share.",
        ),
        SelectorEntry(
            SelectionMethod.RECRANKER,
            "Draws at random with a preference for active users, and shares the budget among clusters.",
            "In the style of Luo et al. 2023, arXiv 2312.16018",
            "dealrec.selection.recranker:select_like_recranker",
            (Need.EMBEDDING, Need.HISTORY_LENGTHS),
            ("clusters", "seed"),
            strata="Strata are clusters.",
        ),
        SelectorEntry(
            SelectionMethod.GRADIENT_MATCH,
            "Takes the samples whose LLM gradient points the same way as that of validation samples.",
            "Xia et al., ICML 2024 (LESS), arXiv 2402.04333",
            "dealrec.selection.gradient_match:select_matching_gradients",
            (Need.GRADIENTS, Need.VALIDATION_GRADIENTS),
            ("seed",),
            overall="cosine with the gradient of validation",
        ),
        SelectorEntry(
            SelectionMethod.GORACS,
            "Minimises the optimal-transport cost to validation samples, minus the gradient norm.",
            "Mei et al., KDD 2025, arXiv 2506.04015",
            "dealrec.selection.goracs:select_by_transport",
            (Need.EFFORT, Need.EMBEDDING, Need.VALIDATION_EMBEDDING),
            ("gradient_weight", "exchanges", "seed"),
        ),
        SelectorEntry(
            SelectionMethod.IMPORTANCE_RESAMPLING,
            "Draws at random with a preference for samples that resemble validation samples.",
            "In the style of Xie et al., NeurIPS 2023 (DSIR), arXiv 2302.03169",
            "dealrec.selection.importance_resampling:select_by_importance",
            (Need.EMBEDDING, Need.VALIDATION_EMBEDDING),
            ("tilt", "seed"),
            overall="log-odds of being a validation sample",
        ),
        SelectorEntry(
            SelectionMethod.POPULAR,
            "Takes samples of the most frequent targets, a few of each: a control.",
            "Cremonesi et al., RecSys 2010 (as a recommender)",
            "dealrec.selection.popular:select_popular",
            (Need.TARGETS,),
            ("per_target", "seed"),
            overall="popularity of the target",
        ),
        SelectorEntry(
            SelectionMethod.RECENT,
            "Draws at random from the newest samples: a control.",
            "In the style of Matuszyk et al., SAC 2015 (sliding window)",
            "dealrec.selection.recent:select_recent",
            (Need.TIMES,),
            ("window", "seed"),
            overall="time of the target by rank",
            strata="Stratum 1 is the newest window, which gives all; stratum 0 is what is older.",
        ),
        SelectorEntry(
            SelectionMethod.RECENT_POPULAR,
            "Takes samples of the targets that have been frequent lately, a few of each: a control.",
            "In the style of Ji et al., SIGIR 2020, arXiv 2005.13829",
            "dealrec.selection.recent_popular:select_recent_popular",
            (Need.TARGETS, Need.TIMES),
            ("half_life", "per_target", "seed"),
            overall="popularity of the target, decayed by age",
        ),
        SelectorEntry(
            SelectionMethod.WINDOW_POPULAR,
            "Takes the newest samples of the targets that are most frequent among the newest samples.",
            "In the style of Ji et al., SIGIR 2020, arXiv 2005.13829",
            "dealrec.selection.window_popular:select_window_popular",
            (Need.TARGETS, Need.TIMES),
            ("window", "per_target", "seed"),
            overall="popularity of the target in the window",
            strata="Stratum 1 is the newest window, which gives all; stratum 0 is what is older.",
        ),
        SelectorEntry(
            SelectionMethod.ROUND_ROBIN,
            "Lets validation samples take turns choosing the sample that is most like them.",
            "In the style of Ivison et al. 2025 (RDS+), arXiv 2503.01807, and Nayak et al. 2026, "
            "arXiv 2602.14696",
            "dealrec.selection.round_robin:select_in_turns",
            (),
            ("turn_vectors", "seed"),
            overall="highest cosine with a validation sample",
        ),
        SelectorEntry(
            SelectionMethod.METAGRADIENT,
            "Exchanges samples so that training on them helps validation users most. It takes minutes.",
            "In the style of Engstrom et al. 2025, arXiv 2503.13751, and MAGIC, arXiv 2504.16430",
            "dealrec.metagradient.descent:select_by_metagradient",
            (Need.TITLES, Need.VALIDATION_TITLES),
            ("rounds", *_TRAINING, "pool", "seed"),
            overall="gain of validation users from a little more of a sample",
            strata="Stratum 1 is the pool that was looked at, which gives all; stratum 0 is the rest.",
            trains=True,
        ),
        SelectorEntry(
            SelectionMethod.EXPLAINED,
            "Draws samples, a few of each target, whose history says neither much nor little about it.",
            "Our own",
            "dealrec.selection.explained:select_explained",
            (Need.TARGETS, Need.LIKELIHOOD),
            ("band", "per_target", "seed"),
            overall="log p(target | history) − log p(target), by rank",
            strata="Stratum 1 is the band in the middle, which gives all; 0 is below it and 2 above.",
        ),
        SelectorEntry(
            SelectionMethod.IFD,
            "Takes the samples whose target stays hard for the language model even with the history (IFD).",
            "Li et al., NAACL 2024, arXiv 2308.12032",
            "dealrec.selection.ifd:select_by_following",
            (Need.IFD,),
            ("seed",),
            overall="loss with the history over loss without",
        ),
        SelectorEntry(
            SelectionMethod.COMPOSITE,
            "Combines a score, distance from samples selected before, popularity strata, and a target cap.",
            "Our own; in the style of Carbonell and Goldstein, SIGIR 1998",
            "dealrec.selection.composite:select_composite",
            (Need.TARGETS,),
            ("difficulty", "score_weight", "diversity_weight", "strata", "per_target", "seed"),
            overall="score by rank, times its weight",
            strata="Strata are ranges of popularity; each gives its share.",
        ),
    )
}

VALIDATION = frozenset(need for need in Need if need.startswith("validation_"))
VECTORS = VALIDATION | {Need.EMBEDDING, Need.GRADIENTS, Need.TITLES}


def selector_needs(config: SelectionConfig) -> frozenset[Need]:
    """Everything that the chosen selector looks at; effort only where its weight λ is not 0."""
    entry = SELECTORS[config.method]
    needs = set(entry.needs)
    # A weight of 0 makes `composite` one of its corners, which does not look at what is weighed.
    scored = "score_weight" not in entry.parameters or config.score_weight
    if "difficulty" in entry.parameters and scored:
        needs.add(Need(config.difficulty.value))
    if "diversity_weight" in entry.parameters and config.diversity_weight:
        needs.add(Need.EMBEDDING)
    if "turn_vectors" in entry.parameters:
        kind = config.turn_vectors.value
        needs |= {Need(kind), Need(f"validation_{kind}")}
    if entry.weighs_effort and not config.effort_weight:
        needs.discard(Need.EFFORT)
    return frozenset(needs)


def listed_needs(entry: SelectorEntry) -> list[Need]:
    """List what the selector looks at with its default parameters, in one order."""
    needs = selector_needs(SelectionConfig(method=entry.method))
    return [need for need in Need if need in needs]
