"""Options of the selection."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from dealrec.config.base import Config


class SelectionMethod(StrEnum):
    """A selector's name; :mod:`dealrec.config.selectors` says what each is and needs."""

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


class Normalisation(StrEnum):
    """How a score is brought to [0, 1]."""

    MINMAX = "minmax"
    """By its range (the paper); a few outliers set the scale."""
    RANK = "rank"
    """By its rank, ties sharing the mean; no outlier can flatten it."""


class StratumEdges(StrEnum):
    """Where one stratum ends and the next begins."""

    EQUAL_WIDTH = "equal_width"
    """Equal steps over the range of the overall score (the paper)."""
    QUANTILE = "quantile"
    """Equal numbers of samples."""


class Difficulty(StrEnum):
    """The score that says how hard a sample is, for selectors that take any."""

    EL2N = "el2n"
    GRAND = "grand"
    INFLUENCE = "influence"
    EFFORT = "effort"


class SelectionConfig(Config):
    """How the budget is spent on scored samples. A selector ignores what it does not read."""

    method: SelectionMethod = SelectionMethod.INFLUENCE_STRATA
    effort_weight: float = Field(0.3, ge=0, le=1000)
    """λ: the weight of effort beside influence."""
    strata: int = Field(50, ge=1, le=10_000)
    """K: how many strata the scores are cut into; each gives its share of the budget."""
    stratum_edges: StratumEdges = StratumEdges.EQUAL_WIDTH
    normalisation: Normalisation = Normalisation.MINMAX
    hard_prune: float = Field(0.1, ge=0, lt=1)
    """Share of samples with the highest score (overall, or difficulty) that is dropped first."""
    length_strata: int = Field(4, ge=1, le=1000)
    """Of ``balanced``: ranges of history length that each range of popularity is cut into."""
    harmful_prune: float = Field(0.25, ge=0, lt=1)
    """Of ``balanced``: share of each stratum, that of the lowest influence, which is left out."""
    difficulty: Difficulty = Difficulty.GRAND
    """Of ``ccs`` and ``d2``. With a catalogue of thousands EL2N is close to 1 for every sample."""
    clusters: int = Field(50, ge=1, le=10_000)
    """Of ``moderate`` (its classes), ``tf_dcon`` and ``recranker``."""
    neighbours: int = Field(10, ge=1, le=1000)
    """Of a sample in the graph of ``d2``."""
    forward_decay: float = Field(1.0, ge=0, le=1000)
    """γ_f of ``d2``: how fast a neighbour's difficulty fades with its distance."""
    reverse_decay: float = Field(1.0, ge=0, le=1000)
    """γ_r of ``d2``: how fast a taken sample's discount of its neighbours fades."""
    gradient_weight: float = Field(0.1, ge=0, le=1000)
    """λ of ``goracs``: the weight of gradient norms beside the transport cost."""
    exchanges: int = Field(20, ge=0, le=10_000)
    """Of a taken sample for another that ``goracs`` tries; each is a transport problem."""
    per_target: int = Field(1, ge=1, le=1_000_000)
    """Of ``thinned_influence``: so many samples of one target at most, as long as others have some."""
    tilt: float = Field(1.0, ge=0, le=100)
    """Of ``importance_resampling``: 0 draws uniformly, 1 as validation is, more favours what is most
    like validation."""
    seed: int = Field(0, ge=0, lt=2**31)


class _Changes:
    """Checks each field that is given as :class:`SelectionConfig` does, and fills in none."""

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
"""Some fields of a selection, ``method`` aside: those that differ from another selection's."""
