"""The whole job: what ``config`` of a job, of ``dealrec prune`` and of ``prune()`` is."""

from pydantic import Field, model_validator

from dealrec.config.audit import AuditConfig
from dealrec.config.base import Config
from dealrec.config.data import MAKES_VALIDATION, Sampling, ValidationUsers
from dealrec.config.effort import EffortConfig, IfdConfig
from dealrec.config.embedding import EmbeddingConfig, GradientsConfig
from dealrec.config.evaluation import EvaluationConfig
from dealrec.config.finetune import FinetuneConfig
from dealrec.config.influence import InfluenceConfig, RiskTarget
from dealrec.config.prompt import PromptConfig
from dealrec.config.published import EFFORT, INFLUENCE, require_published, with_published
from dealrec.config.selection import SelectionConfig, SelectionMethod
from dealrec.config.selection_training import default_selector, with_training_of
from dealrec.config.selectors import SELECTORS, VALIDATION, Need, selector_needs
from dealrec.config.surrogate import SURROGATES, SurrogateConfig
from dealrec.config.titles import TitlesConfig
from dealrec.errors import FieldError, InputError

_OF_TRAINING = frozenset({Need.TARGETS, Need.HISTORY_LENGTHS, Need.TIMES, Need.IFD})
"""Needs that no validation item has a part in."""


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

    sampling: Sampling = Sampling.AUTO
    """The unit that counts as one sample."""
    min_history: int = Field(1, ge=1, le=1000)
    """The smallest number of items in the history of a sample. It does not apply to samples that come
    with the data."""
    audit: AuditConfig | None = None
    """How the shape of the data set is summarised; ``None`` makes no summary."""
    prompt: PromptConfig = PromptConfig()
    surrogate: SurrogateConfig = SurrogateConfig()
    validation_users: ValidationUsers = ValidationUsers.AUTO
    influence: InfluenceConfig = InfluenceConfig()
    effort: EffortConfig | None = None
    """How effort is measured. If not given, effort is measured with the defaults for selectors that use
    it, and not at all for others. ``None`` leaves the LLM out: ``dealrec`` then uses influence alone."""
    embedding: EmbeddingConfig = EmbeddingConfig()
    gradients: GradientsConfig = GradientsConfig()
    ifd: IfdConfig = IfdConfig()
    titles: TitlesConfig = TitlesConfig()
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
                f"the selector `{self.selection.method}` needs effort scores, but `effort: null` "
                "leaves them out"
            )
        return self

    @model_validator(mode="after")
    def _selects_with_the_training_that_follows(self) -> "PruneConfig":
        if SELECTORS[self.selection.method].trains:
            found = with_training_of(self.finetune, self.selection, self.titles)
            for name, options in zip(("selection", "titles"), found, strict=True):
                object.__setattr__(self, name, options)
        return self

    @model_validator(mode="after")
    def _published_where_its_name_is_given(self) -> "PruneConfig":
        if self.selection.method is SelectionMethod.DEALREC_PAPER:
            object.__setattr__(self, "influence", with_published(self.influence, INFLUENCE))
            if self.effort is not None:
                object.__setattr__(self, "effort", with_published(self.effort, EFFORT))
        return self

    @model_validator(mode="after")
    def _measured_parameters_exist(self) -> "PruneConfig":
        entry = SURROGATES.get(self.surrogate.model)
        if entry is not None and self.influence.parameters.value in entry.lacks:
            raise ValueError(
                f"the surrogate `{entry.name}` has no parameters `{self.influence.parameters}`; use "
                "another value of `influence.parameters`, such as `item_embedding` or `all`"
            )
        return self

    def with_default_selector(self, *, can_aim: bool) -> "PruneConfig":
        """Fill in the selector for the training that follows, if none was asked for and the data allow it.

        ``can_aim`` says whether they have enough validation users.
        """
        if "method" in self.selection.model_fields_set or not can_aim:
            return self
        method = default_selector(self.finetune)
        selection = self.selection.model_copy(update={"method": method})
        titles = self.titles
        if SELECTORS[method].trains:
            selection, titles = with_training_of(self.finetune, selection, titles)
        return self.model_copy(update={"selection": selection, "titles": titles})

    def of_coreset(self) -> "PruneConfig":
        """The options that decide the coreset; the others are left out.

        Jobs that differ in the others share a coreset, whose manifest must not name one of them.
        """
        return self.model_copy(update={"audit": None, "finetune": None, "evaluation": None})

    def resolved(self, *, has_validation: bool, has_test: bool) -> "PruneConfig":
        """The configuration with what depends on the data filled in.

        Raises :class:`InputError`: ``no_validation_split`` where validation is asked for and the
        data has none, ``nothing_to_evaluate`` for an evaluation without fine-tuning,
        ``answers_aimed_at`` for one that asks for answers which the selection looks at,
        ``not_as_published`` for ``dealrec_paper`` with other scores than the published method's.
        """
        if self.selection.method is SelectionMethod.DEALREC_PAPER:
            require_published(self.influence, self.effort)
        if self.evaluation is not None and self.finetune is None:
            raise InputError(
                "`config.evaluation` measures an adapter, but `config.finetune` is null. Set "
                "`finetune` (`{}` uses its defaults), or leave `evaluation` out.",
                code="nothing_to_evaluate",
                errors=[FieldError("config.evaluation", "needs config.finetune")],
            )
        target = self.influence.target
        if not has_validation and VALIDATION & selector_needs(self.selection):
            raise InputError(
                f"The selector `{self.selection.method}` needs validation samples, but the data set "
                f"has none. Use another selector, or {MAKES_VALIDATION}.",
                code="no_validation_split",
                errors=[FieldError("config.selection.method", "the data has no validation split")],
            )
        if target is RiskTarget.AUTO:
            target = RiskTarget.VALIDATION if has_validation else RiskTarget.TRAIN
        elif target is RiskTarget.VALIDATION and not has_validation:
            raise InputError(
                "influence.target is `validation`, but the data set has no validation interactions. "
                f"Use `train`, or {MAKES_VALIDATION}.",
                code="no_validation_split",
                errors=[FieldError("config.influence.target", "the data has no validation split")],
            )
        users = self._resolved_users(has_validation=has_validation, has_test=has_test)
        influence = self.influence.model_copy(update={"target": target})
        found = self.model_copy(update={"influence": influence, "validation_users": users})
        found.require_unseen_answers(found.evaluation, has_test=has_test)
        return found

    def require_unseen_answers(
        self,
        evaluation: EvaluationConfig | None,
        *,
        has_test: bool,
        needs: frozenset[Need] | None = None,
        location: str = "config.evaluation.split",
    ) -> None:
        """Check that ``evaluation`` asks for no answer that a selection with this configuration saw.

        Influence aims at what validation users chose, and the surrogate behind other scores stops
        by it. ``needs`` are what the selectors look at; by default, what this selection does.

        Raises:
            InputError: ``answers_aimed_at``.
        """
        halved = self.validation_users is ValidationUsers.HALF
        if halved or evaluation is None or not evaluation.asks_validation(has_test=has_test):
            return
        trained = self.finetune is not None and self.finetune.validation.samples > 0
        if not trained and (needs or selector_needs(self.selection)) <= _OF_TRAINING:
            return
        who = "training" if trained else "selection"
        raise InputError(
            f"The evaluation would test validation users on the very answers that the {who} uses. "
            "Evaluate on test users (`evaluation.split: test`), or let selection and training use one "
            "half of the validation users and evaluate on the other half (`validation_users: half`).",
            code="answers_aimed_at",
            title="The evaluation would test on known answers",
            errors=[FieldError(location, f"would test on answers that the {who} uses")],
        )

    def _resolved_users(self, *, has_validation: bool, has_test: bool) -> ValidationUsers:
        if self.validation_users is not ValidationUsers.AUTO:
            return self.validation_users
        asked = (
            has_validation
            and self.evaluation is not None
            and self.evaluation.asks_validation(has_test=has_test)
        )
        return ValidationUsers.HALF if asked else ValidationUsers.ALL
