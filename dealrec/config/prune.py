"""The whole job: what ``config`` of a job, of ``dealrec prune`` and of ``prune()`` is."""

from pydantic import Field, model_validator

from dealrec.config.audit import AuditConfig
from dealrec.config.base import Config
from dealrec.config.data import PromptConfig, Sampling
from dealrec.config.effort import EffortConfig, IfdConfig
from dealrec.config.embedding import EmbeddingConfig, GradientsConfig
from dealrec.config.evaluation import EvaluationConfig
from dealrec.config.finetune import FinetuneConfig
from dealrec.config.influence import InfluenceConfig, RiskTarget
from dealrec.config.selection import SelectionConfig
from dealrec.config.selectors import SELECTORS, VALIDATION, Need, selector_needs
from dealrec.config.surrogate import SurrogateConfig
from dealrec.errors import FieldError, InputError


class PruneConfig(Config):
    """One model a concern; every part has defaults.

    Examples:
        >>> config = PruneConfig.parse({"selection": {"method": "dealrec", "strata": 20}})
        >>> config.effort is not None  # this selector looks at effort
        True
        >>> PruneConfig.parse({"selection": {"strata": "many"}})
        Traceback (most recent call last):
        dealrec.errors.InputError: `config.selection.strata` must be a whole number.
    """

    sampling: Sampling = Sampling.PER_USER
    min_history: int = Field(1, ge=1, le=1000)
    """Items of history that a sample needs."""
    audit: AuditConfig | None = None
    """How the shape of the data set is summarised beside the job; ``None`` makes no summary."""
    prompt: PromptConfig = PromptConfig()
    surrogate: SurrogateConfig = SurrogateConfig()
    influence: InfluenceConfig = InfluenceConfig()
    effort: EffortConfig | None = None
    """Where it is not given, effort is scored as by default for selectors that look at it, and for
    no others. ``None`` leaves the LLM out: ``dealrec`` then goes by influence alone."""
    embedding: EmbeddingConfig = EmbeddingConfig()
    gradients: GradientsConfig = GradientsConfig()
    ifd: IfdConfig = IfdConfig()
    selection: SelectionConfig = SelectionConfig()
    finetune: FinetuneConfig | None = None
    """``None`` trains no adapter."""
    evaluation: EvaluationConfig | None = None
    """How the adapter is measured on held-out users; ``None``: not at all. Needs ``finetune``."""

    @model_validator(mode="after")
    def _default_effort_if_selector_needs_it(self) -> "PruneConfig":
        if "effort" not in self.model_fields_set and Need.EFFORT in selector_needs(self.selection):
            object.__setattr__(self, "effort", EffortConfig())
        return self

    @model_validator(mode="after")
    def _no_weight_if_effort_is_left_out(self) -> "PruneConfig":
        if self.effort is None and SELECTORS[self.selection.method].weighs_effort:
            object.__setattr__(self, "selection", self.selection.without_effort())
        return self

    @model_validator(mode="after")
    def _refuse_selector_without_its_effort(self) -> "PruneConfig":
        if self.effort is None and Need.EFFORT in selector_needs(self.selection):
            raise ValueError(
                f"the selector `{self.selection.method}` looks at effort, which `effort: null` "
                "leaves out"
            )
        return self

    def of_coreset(self) -> "PruneConfig":
        """The options that decide the coreset; the others are left out.

        Jobs that differ in the others share a coreset, whose manifest must not name one of them.
        """
        return self.model_copy(update={"audit": None, "finetune": None, "evaluation": None})

    def resolved(self, *, has_validation: bool) -> "PruneConfig":
        """The configuration with what depends on the data filled in.

        Raises :class:`InputError`: ``no_validation_split`` where validation is asked for and the
        data has none, ``nothing_to_evaluate`` for an evaluation without fine-tuning.
        """
        if self.evaluation is not None and self.finetune is None:
            raise InputError(
                "config.evaluation measures the adapter, and config.finetune is null. Give "
                "`finetune` (`{}` takes its defaults), or leave `evaluation` out.",
                code="nothing_to_evaluate",
                errors=[FieldError("config.evaluation", "needs config.finetune")],
            )
        target = self.influence.target
        if not has_validation and VALIDATION & selector_needs(self.selection):
            raise InputError(
                f"The selector `{self.selection.method}` looks at validation samples, and the data "
                "set has none. Use another selector, or a split that makes some.",
                code="no_validation_split",
                errors=[FieldError("config.selection.method", "the data has no validation split")],
            )
        if target is RiskTarget.AUTO:
            target = RiskTarget.VALIDATION if has_validation else RiskTarget.TRAIN
        elif target is RiskTarget.VALIDATION and not has_validation:
            raise InputError(
                "influence.target is `validation`, but the data set has no validation interactions. "
                "Use `train`, or a split that makes some.",
                code="no_validation_split",
                errors=[FieldError("config.influence.target", "the data has no validation split")],
            )
        return self.model_copy(
            update={"influence": self.influence.model_copy(update={"target": target})}
        )
