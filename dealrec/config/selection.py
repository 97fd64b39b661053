"""Options of the selection."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from dealrec.config.base import Config


class SelectionMethod(StrEnum):
    """The name of a selector; :mod:`dealrec.config.selectors` describes each."""

    BALANCED = "balanced"
    DEALREC = "dealrec"
    DEALREC_PAPER = "dealrec_paper"
    RANDOM = "random"
    STRATIFIED_RANDOM = "stratified_random"
    INFLUENCE = "influence"
    INFLUENCE_STRATA = "influence_strata"
    THINNED_INFLUENCE = "thinned_influence"
    EFFORT = "effort"
    EL2N = "el2n"
    GRAND = "grand"
    CCS = "ccs"
    MODERATE = "moderate"
    D2 = "d2"
    K_CENTER = "k_center"
    HERDING = "herding"
    TF_DCON = "tf_dcon"
    RECRANKER = "recranker"
    GRADIENT_MATCH = "gradient_match"
    GORACS = "goracs"
    IMPORTANCE_RESAMPLING = "importance_resampling"
    POPULAR = "popular"
    RECENT = "recent"
    RECENT_POPULAR = "recent_popular"
    WINDOW_POPULAR = "window_popular"
    ROUND_ROBIN = "round_robin"
    METAGRADIENT = "metagradient"
    EXPLAINED = "explained"
    IFD = "ifd"
    COMPOSITE = "composite"


class Normalisation(StrEnum):
    """The normalisation of a score to [0, 1]."""

    MINMAX = "minmax"
    """By the range of the score, as in the paper; a few outliers can set the scale."""
    RANK = "rank"
    """By rank, with the mean rank for ties; outliers do not matter."""


class StratumEdges(StrEnum):
    """The boundaries of strata."""

    EQUAL_WIDTH = "equal_width"
    """Equal steps over the range of the overall score, as in the paper."""
    QUANTILE = "quantile"
    """Equal numbers of samples."""


class Difficulty(StrEnum):
    """The difficulty score, for selectors that work with any of them."""

    EL2N = "el2n"
    GRAND = "grand"
    INFLUENCE = "influence"
    EFFORT = "effort"


class TurnVectors(StrEnum):
    """The vectors that ``round_robin`` compares samples by."""

    EMBEDDING = "embedding"
    GRADIENTS = "gradients"


class SelectionConfig(Config):
    """Options of the selection; a selector ignores the options of others."""

    method: SelectionMethod = SelectionMethod.THINNED_INFLUENCE
    """The selector, which decides how the budget is spent."""
    effort_weight: float = Field(0.3, ge=0, le=1000)
    """λ: the weight of effort relative to influence."""
    strata: int = Field(50, ge=1, le=10_000)
    """K: the number of strata into which the scores are cut. Each stratum gets its share of the budget."""
    stratum_edges: StratumEdges = StratumEdges.EQUAL_WIDTH
    normalisation: Normalisation = Normalisation.MINMAX
    hard_prune: float = Field(0.1, ge=0, lt=1)
    """The share of samples with the highest score (overall or difficulty) that are dropped first."""
    length_strata: int = Field(4, ge=1, le=1000)
    """For ``balanced``: the number of ranges of history length within each range of popularity."""
    harmful_prune: float = Field(0.25, ge=0, lt=1)
    """For ``balanced``: this share of each stratum, the samples with the lowest influence, is left out."""
    difficulty: Difficulty = Difficulty.GRAND
    """For ``ccs``, ``d2`` and ``composite``: the score by which samples are hard. With thousands of
    items, EL2N is close to 1 for every sample."""
    clusters: int = Field(50, ge=1, le=10_000)
    """The number of clusters for ``moderate`` (its classes), ``tf_dcon`` and ``recranker``."""
    neighbours: int = Field(10, ge=1, le=1000)
    """For ``d2``: the number of neighbours that each sample has in the graph."""
    forward_decay: float = Field(1.0, ge=0, le=1000)
    """γ_f of ``d2``: the decay of a neighbour's difficulty with its distance."""
    reverse_decay: float = Field(1.0, ge=0, le=1000)
    """γ_r of ``d2``: the decay of a selected sample's discount on its neighbours with their distance."""
    gradient_weight: float = Field(0.1, ge=0, le=1000)
    """λ of ``goracs``: the weight of gradient norms relative to the transport cost."""
    exchanges: int = Field(20, ge=0, le=10_000)
    """For ``goracs``: the number of exchanges that are tried. Each one solves a transport problem."""
    rounds: int = Field(6, ge=0, le=1000)
    """For ``metagradient``: the number of rounds; each exchanges a part of the coreset for other samples."""
    trainings: int = Field(1, ge=1, le=1000)
    """For ``metagradient``: the number of trainings per round, each with another order of the samples.
    Their derivatives are averaged."""
    training_epochs: int = Field(20, ge=1, le=1000)
    """For ``metagradient``: the number of epochs for which its recommender is trained on the coreset. If
    this option and the five after it are not set, they are taken from ``finetune``, provided that it
    trains the recommender ``encoder`` over a frozen language model."""
    training_batch: int = Field(128, ge=2, le=4096)
    """For ``metagradient``: the number of samples in a step. The softmax is over their answers."""
    training_rate: float = Field(3e-4, gt=0, le=1)
    """For ``metagradient``: the learning rate of its recommender."""
    training_temperature: float = Field(0.2, gt=0, le=100)
    """For ``metagradient``: the temperature, by which cosines are divided before the softmax."""
    training_decay: float = Field(0.8, gt=0, le=1)
    """For ``metagradient``: the weight of each title of a history relative to the one that was chosen
    after it."""
    training_dimensions: int = Field(256, ge=1, le=65_536)
    """For ``metagradient``: the length of its vectors, at most the hidden size of the language model."""
    pool: int = Field(20_000, ge=1, le=10_000_000)
    """For ``metagradient``: the number of samples, drawn at random, that it considers if there are more.
    It is never less than four times the budget."""
    per_target: int = Field(1, ge=1, le=1_000_000)
    """For selectors that spread over targets: the largest number of samples with the same target, as long
    as other targets still have samples."""
    window: float = Field(0.25, gt=0, le=1)
    """For ``recent`` and ``window_popular``: the newest share of all samples, from which they select."""
    score_weight: float = Field(1.0, ge=0, le=1000)
    """For ``composite``: the weight of the score that ``difficulty`` names, by rank."""
    diversity_weight: float = Field(1.0, ge=0, le=1000)
    """For ``composite``: the weight of the distance from the samples selected before."""
    turn_vectors: TurnVectors = TurnVectors.EMBEDDING
    """For ``round_robin``: the vectors by which a validation sample chooses the sample most like it."""
    band: float = Field(0.5, gt=0, le=1)
    """For ``explained``: it draws from this share of all samples, those in the middle of its score."""
    half_life: float | None = Field(None, gt=0, le=1e9)
    """For ``recent_popular``: the age at which a sample counts half (half-life), in days, or in the unit
    of the timestamps if these do not count from 1970. If not set, the newest tenth of all samples are
    younger than the half-life."""
    tilt: float = Field(1.0, ge=0, le=100)
    """For ``importance_resampling``: 0 draws uniformly, 1 draws so that samples resemble validation, and
    higher values favour the samples that are most like validation."""
    seed: int = Field(0, ge=0, lt=2**31)
    """The random seed of everything that is drawn."""

    def without_effort(self) -> Self:
        """The same selection with λ = 0: a selector that weighs effort then does not look at it."""
        return self.model_copy(update={"effort_weight": 0.0})


class _Changes:
    """Validates the given fields as :class:`SelectionConfig` does, without filling in defaults."""

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        fields = {}
        for name, field in SelectionConfig.model_fields.items():
            if name != "method":
                told = Field(description=field.description)
                checked = handler.generate_schema(
                    Annotated[field.annotation, *field.metadata, told]
                )
                fields[name] = core_schema.typed_dict_field(checked, required=False)
        return core_schema.typed_dict_schema(fields, extra_behavior="forbid")


SelectionChanges = Annotated[dict[str, Any], _Changes]
"""The fields of a selection, except ``method``, that differ from those of another selection."""
