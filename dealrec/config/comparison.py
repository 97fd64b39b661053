"""The options of a comparison: which selectors, at which budgets, how often."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from dealrec.config.base import Config
from dealrec.config.budget import Budget, resolve_budget
from dealrec.config.compared import ComparedSelector, NamedSelector
from dealrec.config.data import MAKES_VALIDATION
from dealrec.config.effort import EffortConfig
from dealrec.config.finetune import FinetuneConfig
from dealrec.config.prune import PruneConfig
from dealrec.config.published import EFFORT, INFLUENCE, require_published, with_published
from dealrec.config.scales import EVALUATION, FINETUNE, Scale
from dealrec.config.selection import SelectionConfig, SelectionMethod
from dealrec.config.selection_training import (
    default_selector,
    with_training_of,
    without_training_of,
)
from dealrec.config.selectors import SELECTORS, VALIDATION, Need, selector_needs
from dealrec.errors import FieldError, InputError

CONTROL = SelectionMethod.RANDOM.value
"""The label of the first control."""
CONTROLS = (
    SelectionMethod.RANDOM,
    SelectionMethod.STRATIFIED_RANDOM,
    SelectionMethod.POPULAR,
    SelectionMethod.RECENT_POPULAR,
)
"""The selectors that every other one is set beside; added where they are not asked for. One that looks
at times is left out where the data have none."""
_MOST_FULL_DATA_RUNS = 100
VERDICT_RUNS = 5
"""The fewest runs of a selector of which anything is said to be better, worse or level."""
_USUAL_RUNS = 8
"""So many that nine of ten comparisons see a coreset whose histories are exchanged
(``benchmarks/RESULTS.md``, "Can a comparison see a difference that is there?"); with five it was eight."""


_SHARED = (
    "All selectors of a comparison share their scores. Compare it with selectors that use neither "
    "influence nor effort, set these options, or use the selector `dealrec` with the published "
    "options of its selection."
)


@dataclass(frozen=True)
class PlannedRun:
    """One selection and one training: run ``number`` of a selector at a budget."""

    selector: str
    budget: int
    number: int
    selection: SelectionConfig
    finetune: FinetuneConfig


class ComparisonConfig(Config):
    """Every selector at every budget, ``seeds`` times each: every run draws and trains anew.

    Run ``r`` of all selectors has the same surrogate and the same training seed.
    """

    curve: tuple[Budget, ...] = Field((), max_length=16)
    """Budgets of the curve, which shows how many samples are enough: at each one, random selections are
    trained on ``seeds`` times. No samples and all samples are always on the curve. Empty: no curve is
    drawn."""
    budgets: tuple[Budget, ...] = Field((), max_length=16, validate_default=True)
    """The budgets at which selectors are compared. Empty if only a ``curve`` is wanted."""
    selectors: tuple[NamedSelector, ...] = Field((), max_length=40, validate_default=True)
    """The selectors to compare. A bare name uses the options of ``config.selection``. The controls are
    always added. Empty: those that a job has by default, without a training and with that of the runs."""
    seeds: int = Field(_USUAL_RUNS, ge=2, le=1000)
    """The number of runs of each selector at each budget. An interval needs at least two, a verdict five."""
    smallest_effect: float = Field(0.02, gt=0)
    """The smallest difference of interest, in nats of the primary metric. A selector is level with a
    control if a difference of this size is ruled out. A difference of 0.02 nats changes the odds of the
    right title by 2 %."""
    full_data_runs: int = Field(1, ge=0, le=_MOST_FULL_DATA_RUNS)
    """The number of trainings on all samples, which show whether there is anything to learn. With 0 this
    is not checked, and the cost of all samples is extrapolated. A ``curve`` ends with all samples, so
    with a curve the default is the number of ``seeds``."""
    full_data_samples: Budget | None = None
    """These trainings use this many samples, drawn at random, if all would be too many. ``None``: all."""
    despite_no_headroom: bool = False
    """Whether selectors are compared even if training on all samples teaches nothing about recommending."""
    scale: Scale = Scale.CPU
    config: PruneConfig = PruneConfig()
    """The options that all selectors share; ``scale`` fills in a missing ``finetune`` or ``evaluation``."""

    @field_validator("budgets")
    @classmethod
    def _budgets_or_a_curve(
        cls, budgets: tuple[Budget, ...], info: ValidationInfo
    ) -> tuple[Budget, ...]:
        if not budgets and info.data.get("curve") == ():
            raise ValueError("must not be empty unless there is a `curve`")
        return budgets

    @field_validator("selectors")
    @classmethod
    def _with_controls(
        cls, selectors: tuple[ComparedSelector, ...], info: ValidationInfo
    ) -> tuple[ComparedSelector, ...]:
        budgets = info.data.get("budgets")
        if not budgets:
            if budgets == () and selectors:
                raise ValueError("cannot be compared, because `budgets` is empty")
            return selectors
        selectors = selectors or (
            ComparedSelector(method=SelectionConfig().method),
            ComparedSelector(method=SelectionMethod.METAGRADIENT, added=True),
        )
        names = {selector.name for selector in selectors}
        # A stored comparison has its controls; one that the data did not allow must not come back.
        complete = any(one.added and one.name == CONTROL for one in selectors)
        missing = () if complete else [one for one in CONTROLS if one.value not in names]
        selectors = (
            *(ComparedSelector(method=method, added=True) for method in missing),
            *selectors,
        )
        twice = [name for name, n in Counter(s.name for s in selectors).items() if n > 1]
        if twice:
            raise ValueError(f"the label `{twice[0]}` names two selectors; labels must differ")
        return selectors

    @model_validator(mode="after")
    def _settle(self) -> Self:
        """Fill in what ``scale`` says; leave effort out where no selector looks at it."""
        if self.curve and "full_data_runs" not in self.model_fields_set:
            object.__setattr__(self, "full_data_runs", min(self.seeds, _MOST_FULL_DATA_RUNS))
        if self.curve and not self.full_data_runs:
            raise ValueError(
                "a `curve` ends with trainings on all samples, so `full_data_runs` must be at least 1"
            )
        # Every selector names its own method, so the configuration's method has no effect.
        selection = self.config.selection.model_copy(update={"method": SelectionMethod.RANDOM})
        left_out = self.config.effort is None and "effort" in self.config.model_fields_set
        if left_out:
            unweighed = self.config.selection.without_effort()
            config = self.config.model_copy(update={"selection": unweighed})
            object.__setattr__(self, "config", config)
        update: dict[str, Any] = {
            "finetune": self.config.finetune or FINETUNE[self.scale],
            "evaluation": self.config.evaluation or EVALUATION[self.scale],
        }
        trained = update["finetune"]
        if trained.validation.samples or trained.from_adapter:
            raise ValueError(
                "a comparison trains every run in full from a fresh adapter: leave "
                "`finetune.validation` and `finetune.from_adapter` out"
            )
        usual = {*CONTROLS, default_selector(trained)}
        kept = tuple(s for s in self.selectors if not s.added or s.method in usual)
        object.__setattr__(self, "selectors", kept)
        if Need.EFFORT not in self.needs():
            update["effort"], selection = None, selection.without_effort()
        elif self.config.effort is None and not left_out:
            update["effort"] = EffortConfig()
        elif left_out:
            named = self._first_that_needs(frozenset({Need.EFFORT}))
            raise ValueError(
                f"the selector `{named}` needs effort scores, but `effort: null` leaves them out"
            )
        update["selection"] = selection
        if self._compares_published() and not self._others_share_scores():
            update["influence"] = with_published(self.config.influence, INFLUENCE)
            if effort := update.get("effort", self.config.effort):
                update["effort"] = with_published(effort, EFFORT)
        object.__setattr__(self, "config", self.config.model_copy(update=update))
        return self

    @model_validator(mode="after")
    def _select_with_the_training_of_the_runs(self) -> Self:
        if any(SELECTORS[selector.method].trains for selector in self.selectors):
            config = self.config
            found = with_training_of(config.finetune, config.selection, config.titles)
            update = dict(zip(("selection", "titles"), found, strict=True))
            object.__setattr__(self, "config", config.model_copy(update=update))
        return self

    @property
    def run_count(self) -> int:
        """Trainings in all, with those on exchanged histories."""
        compared = sum(map(self.runs_of, self.selectors)) * len(self.budgets)
        drawn = len(set(self.curve) - set(self.budgets)) * self.runs_of(self._control)
        return compared + drawn + self.full_data_runs + (self.seeds if self.budgets else 0)

    @property
    def controls(self) -> list[str]:
        """The labels that every other selector is compared with, random selection first."""
        names = {selector.name for selector in self.selectors}
        return [method.value for method in CONTROLS if method.value in names]

    def for_data(self, *, has_times: bool, can_aim: bool) -> Self:
        """Leave out the selectors that nobody asked for and that need what the data do not have.

        ``can_aim`` says whether they have enough validation users for a default that aims at them.
        """
        missing = frozenset() if has_times else frozenset({Need.TIMES})
        missing |= frozenset() if can_aim else VALIDATION
        kept = [s for s in self.selectors if not (s.added and missing & self._needs_of(s))]
        if len(kept) == len(self.selectors):
            return self
        controls = {method.value for method in CONTROLS}
        # Even the controls that were named are marked: this is how a stored comparison is known.
        mark = {"added": True}
        selectors = tuple(s.model_copy(update=mark) if s.name in controls else s for s in kept)
        config = self.config
        if not any(SELECTORS[selector.method].trains for selector in selectors):
            found = without_training_of(config.finetune, config.selection, config.titles)
            config = config.model_copy(
                update=dict(zip(("selection", "titles"), found, strict=True))
            )
        return self.model_copy(update={"selectors": selectors, "config": config})

    def _needs_of(self, selector: ComparedSelector) -> frozenset[Need]:
        return selector_needs(self.selection(selector))

    def selection(self, selector: ComparedSelector, run: int = 0) -> SelectionConfig:
        """The options of ``selector`` in run ``run``."""
        base = self.config.selection.model_dump()
        seed = int(selector.selection.get("seed", base["seed"])) + run
        return SelectionConfig.model_validate(
            {**base, **selector.selection, "method": selector.method, "seed": seed}
        )

    @property
    def model(self) -> str:
        """The language model that is trained."""
        assert self.config.finetune is not None
        return self.config.finetune.model

    @property
    def most_runs(self) -> int:
        """The runs of the selector that has most."""
        return max((self.runs_of(selector) for selector in self.selectors), default=1)

    def runs_of(self, selector: ComparedSelector) -> int:
        """The runs of ``selector`` at each budget."""
        return selector.runs or self.seeds

    def of_run(self, run: int) -> PruneConfig:
        """The shared options in run ``run``, which draws another surrogate and other candidates."""
        surrogate, selection = self.config.surrogate, self.config.selection
        seed = surrogate.seed + run * surrogate.ensemble
        return self.config.model_copy(
            update={
                "surrogate": surrogate.model_copy(update={"seed": seed}),
                "selection": selection.model_copy(update={"seed": selection.seed + run}),
            }
        )

    def needs(self, run: int = 0) -> frozenset[Need]:
        """All that any selector looks at that has a run ``run``."""
        needs = (self._needs_of(s) for s in self.selectors if self.runs_of(s) > run)
        return frozenset().union(*needs)

    def resolved(self, *, has_validation: bool, has_test: bool) -> Self:
        """With what depends on the data filled in; see :meth:`PruneConfig.resolved`.

        Raises :class:`InputError` (``no_validation_split``) where a selector, or the influence, asks
        for validation and the data has none, and ``not_as_published`` where ``dealrec_paper`` would
        share scores that are not the published ones; the other errors are those of ``config``.
        """
        if self._compares_published():
            require_published(self.config.influence, self.config.effort, why=_SHARED)
        if not has_validation and VALIDATION & self.needs():
            named = self._first_that_needs(VALIDATION)
            raise InputError(
                f"The selector `{named}` needs validation samples, but the data set has none. Leave it "
                f"out, or use {MAKES_VALIDATION}.",
                code="no_validation_split",
                errors=[
                    FieldError(
                        "selectors",
                        f"`{named}` needs a validation split",
                    )
                ],
            )
        config = self.config.resolved(has_validation=has_validation, has_test=has_test)
        config.require_unseen_answers(config.evaluation, has_test=has_test, needs=self.needs())
        return self.model_copy(update={"config": config})

    def resolved_budgets(self, samples: int) -> tuple[int, ...]:
        """The budgets as numbers of ``samples``.

        Raises :class:`InputError`: ``budget_too_large`` for one above them, ``invalid_budget`` for
        two that come to the same.
        """
        found = [
            resolve_budget(budget, samples, location=f"budgets.{place}")
            for place, budget in enumerate(self.budgets)
        ]
        for place, size in enumerate(found):
            if size in found[:place]:
                raise InputError(
                    f"Two budgets are both {size:,} of {samples:,} samples. Leave one of them out.",
                    code="invalid_budget",
                    title="The budgets cannot be used",
                    errors=[FieldError(f"budgets.{place}", "equals an earlier budget")],
                )
        return tuple(found)

    def resolved_curve(self, samples: int) -> tuple[int, ...]:
        """The budgets of the curve as numbers of ``samples``, ascending, without none and all of them.

        Budgets that come to the same are one. Raises :class:`InputError`: ``budget_too_large`` for one
        above what the trainings on all data take.
        """
        most, found = self.resolved_full_data(samples), set[int]()
        for place, budget in enumerate(self.curve):
            size = resolve_budget(budget, samples, location=f"curve.{place}")
            found.add(resolve_budget(size, most, location=f"curve.{place}"))
        return tuple(sorted(found - {most}))

    def largest(self, samples: int) -> tuple[int | float, int]:
        """The largest budget of a selection, as it was asked for and as a number of ``samples``."""
        asked = self.budgets or self.curve
        return max(((one, resolve_budget(one, samples)) for one in asked), key=lambda one: one[1])

    def resolved_full_data(self, samples: int) -> int:
        """How many of ``samples`` the trainings on all data take.

        Raises :class:`InputError`: ``budget_too_large``.
        """
        if self.full_data_samples is None:
            return samples
        return resolve_budget(self.full_data_samples, samples, location="full_data_samples")

    def planned(self, budgets: tuple[int, ...], curve: tuple[int, ...] = ()) -> list[PlannedRun]:
        """Every run, at the resolved ``budgets``, run after run of all selectors.

        At the sizes of the ``curve`` random selection is run alone.

        Run ``r`` of every selector shares its two seeds with run ``r`` of the others.
        """
        assert self.config.finetune is not None
        finetune = self.config.finetune
        asked = [(selector, budget) for selector in self.selectors for budget in budgets]
        asked += [(self._control, size) for size in curve if size not in budgets]
        found = [
            PlannedRun(
                selector.name,
                budget,
                number,
                self.selection(selector, number),
                finetune.model_copy(update={"seed": finetune.seed + number}),
            )
            for selector, budget in asked
            for number in range(self.runs_of(selector))
        ]
        return sorted(found, key=lambda run: run.number)

    @property
    def _control(self) -> ComparedSelector:
        """Random selection."""
        named = (selector for selector in self.selectors if selector.name == CONTROL)
        return next(named, ComparedSelector(method=SelectionMethod.RANDOM))

    def _compares_published(self) -> bool:
        return any(one.method is SelectionMethod.DEALREC_PAPER for one in self.selectors)

    def _others_share_scores(self) -> bool:
        """Whether a selector besides ``dealrec_paper`` looks at influence or effort."""
        shared = {Need.INFLUENCE, Need.EFFORT}
        return any(
            shared & selector_needs(self.selection(one))
            for one in self.selectors
            if one.method is not SelectionMethod.DEALREC_PAPER
        )

    def _first_that_needs(self, needs: frozenset[Need]) -> str:
        return next(s.name for s in self.selectors if needs & self._needs_of(s))
