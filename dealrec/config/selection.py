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
    """By the range of the score (the paper); a few outliers set the scale."""
    RANK = "rank"
    """By the rank, where ties share the mean rank; outliers do not matter."""


class StratumEdges(StrEnum):
    """The boundaries of strata."""

    EQUAL_WIDTH = "equal_width"
    """Equal steps over the range of the overall score (the paper)."""
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
    """How the budget is spent: the name of a selector."""
    effort_weight: float = Field(0.3, ge=0, le=1000)
    """λ: the weight of effort relative to influence."""
    strata: int = Field(50, ge=1, le=10_000)
    """K: the number of strata that the scores are cut into; each gives its share of the budget."""
    stratum_edges: StratumEdges = StratumEdges.EQUAL_WIDTH
    normalisation: Normalisation = Normalisation.MINMAX
    hard_prune: float = Field(0.1, ge=0, lt=1)
    """The share of samples with the highest score (overall or difficulty) that is dropped first."""
    length_strata: int = Field(4, ge=1, le=1000)
    """For ``balanced``: the number of ranges of history length within each range of popularity."""
    harmful_prune: float = Field(0.25, ge=0, lt=1)
    """For ``balanced``: the share of each stratum with the lowest influence, which is left out."""
    difficulty: Difficulty = Difficulty.GRAND
    """For ``ccs``, ``d2`` and ``composite``. With thousands of items EL2N is close to 1 for every sample."""
    clusters: int = Field(50, ge=1, le=10_000)
    """The number of clusters for ``moderate`` (its classes), ``tf_dcon`` and ``recranker``."""
    neighbours: int = Field(10, ge=1, le=1000)
    """For ``d2``: the number of neighbours of a sample in the graph."""
    forward_decay: float = Field(1.0, ge=0, le=1000)
    """γ_f of ``d2``: the decay of a neighbour's difficulty with its distance."""
    reverse_decay: float = Field(1.0, ge=0, le=1000)
    """γ_r of ``d2``: the decay of a selected sample's discount on its neighbours with their distance."""
    gradient_weight: float = Field(0.1, ge=0, le=1000)
    """λ of ``goracs``: the weight of gradient norms relative to the transport cost."""
    exchanges: int = Field(20, ge=0, le=10_000)
    """For ``goracs``: the number of exchanges that are tried; each is a transport problem."""
    rounds: int = Field(6, ge=0, le=1000)
    """For ``metagradient``: the number of times that a part of the coreset is exchanged for other samples."""
    trainings: int = Field(1, ge=1, le=1000)
    """For ``metagradient``: the number of trainings, with different orders of the samples, whose
    derivatives are averaged for a round."""
    training_epochs: int = Field(20, ge=1, le=1000)
    """For ``metagradient``: the number of passes of its recommender over the coreset. Where this option and
    the five after it are not given, they are those of ``finetune``, if that trains the recommender
    ``encoder`` over a language model that stays as it is."""
    training_batch: int = Field(128, ge=2, le=4096)
    """For ``metagradient``: the number of samples in a step, among whose answers each is told apart."""
    training_rate: float = Field(3e-4, gt=0, le=1)
    """For ``metagradient``: the learning rate of its recommender."""
    training_temperature: float = Field(0.2, gt=0, le=100)
    """For ``metagradient``: cosines are divided by it before the softmax."""
    training_decay: float = Field(0.8, gt=0, le=1)
    """For ``metagradient``: each title of a history weighs so many times the one that was chosen after it."""
    training_dimensions: int = Field(256, ge=1, le=65_536)
    """For ``metagradient``: the length of its vectors, at most the width of the language model."""
    pool: int = Field(20_000, ge=1, le=10_000_000)
    """For ``metagradient``: the number of samples, drawn at random, that are looked at where there are
    more. It is never less than four times the budget."""
    per_target: int = Field(1, ge=1, le=1_000_000)
    """The largest number of samples of one target while others have some, for the selectors that
    spread over targets."""
    window: float = Field(0.25, gt=0, le=1)
    """For ``recent`` and ``window_popular``: the share of all samples, the newest, that they look at."""
    score_weight: float = Field(1.0, ge=0, le=1000)
    """For ``composite``: the weight of the score, by rank, that ``difficulty`` names."""
    diversity_weight: float = Field(1.0, ge=0, le=1000)
    """For ``composite``: the weight of the distance from the samples that were taken before."""
    turn_vectors: TurnVectors = TurnVectors.EMBEDDING
    """For ``round_robin``: the vectors by which a validation sample chooses."""
    band: float = Field(0.5, gt=0, le=1)
    """For ``explained``: the share of all samples, those in the middle of its score, that it draws from."""
    half_life: float | None = Field(None, gt=0, le=1e9)
    """For ``recent_popular``: the age at which a sample counts half, in days, or in the unit of the
    timestamps where these do not count from 1970. ``None`` means the age that the newest tenth of all
    samples do not exceed."""
    tilt: float = Field(1.0, ge=0, le=100)
    """For ``importance_resampling``: 0 draws uniformly, 1 draws like validation, and more favours the
    samples that are most like validation."""
    seed: int = Field(0, ge=0, lt=2**31)
    """The seed of everything that is drawn at random."""

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
