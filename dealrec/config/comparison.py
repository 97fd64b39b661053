"""What a comparison of selectors is asked: which, at which budgets, how often."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from pydantic import Field, model_validator

from dealrec.config.base import Config
from dealrec.config.budget import Budget
from dealrec.config.evaluation import EvaluationConfig
from dealrec.config.finetune import FinetuneConfig, LoraSettings
from dealrec.config.prune import PruneConfig
from dealrec.config.selection import SelectionConfig, SelectionMethod
from dealrec.config.selectors import Need, selector_needs

CONTROL = SelectionMethod.RANDOM.value
"""The label that every other selector is set beside; added where it is not asked for."""


class Scale(StrEnum):
    """Settings of fine-tuning and evaluation where the configuration gives none."""

    SMOKE = "smoke"
    """For CPUs: LoRA on the last layers alone, over kept states of those below, and few held-out
    users. Ends in minutes; a small difference cannot be shown."""
    FULL = "full"
    """LoRA on every layer, and many held-out users: for GPUs."""


_FINETUNE = {
    Scale.SMOKE: FinetuneConfig(
        epochs=2, learning_rate=1e-3, lora=LoraSettings(last_layers=4, dropout=0.0)
    ),
    Scale.FULL: FinetuneConfig(epochs=3),
}
_EVALUATION = {
    Scale.SMOKE: EvaluationConfig(users=300, ranking_users=50, beams=1),
    Scale.FULL: EvaluationConfig(users=5000, ranking_users=2000),
}


class ComparedSelector(Config):
    """A selector with options of its own; its bare name means those of ``config.selection``."""

    method: SelectionMethod
    label: str | None = Field(None, min_length=1, max_length=60)
    """What it is called in the report, once; default: its method."""
    runs: int | None = Field(None, ge=2, le=1000)
    """``None``: as many as ``seeds``."""
    selection: dict[str, Any] = Field(default_factory=dict)
    """Fields of the selection that differ from ``config.selection``."""

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return {"method": value} if isinstance(value, str) else value

    @property
    def name(self) -> str:
        """Its label, or that of its method."""
        return self.label or self.method.value


@dataclass(frozen=True)
class PlannedRun:
    """One selection and one training: run ``number`` of a selector at a budget."""

    selector: str
    budget: int
    number: int
    selection: SelectionConfig
    finetune: FinetuneConfig


class ComparisonConfig(Config):
    """Every selector at every budget, ``seeds`` times each: every run draws and trains anew."""

    budgets: tuple[Budget, ...] = Field(min_length=1, max_length=16)
    selectors: tuple[ComparedSelector, ...] = Field(min_length=1, max_length=40)
    seeds: int = Field(3, ge=2, le=1000)
    """Runs of each selector at each budget: an interval takes two at least."""
    full_data_runs: int = Field(0, ge=0, le=100)
    """So many trainings on all samples; without any, their cost is extrapolated."""
    scale: Scale = Scale.SMOKE
    config: PruneConfig = PruneConfig()
    """Its ``finetune`` and ``evaluation`` are those of ``scale`` where it has none."""

    @model_validator(mode="after")
    def _settle(self) -> Self:
        """Fill in what ``scale`` says, add the control, check labels and options."""
        selectors = self.selectors
        if all(selector.name != CONTROL for selector in selectors):
            selectors = (ComparedSelector(method=SelectionMethod.RANDOM), *selectors)
        twice = [name for name, n in Counter(s.name for s in selectors).items() if n > 1]
        if twice:
            raise ValueError(f"the label `{twice[0]}` names two selectors; give each its own")
        object.__setattr__(self, "selectors", selectors)
        update: dict[str, Any] = {
            "finetune": self.config.finetune or _FINETUNE[self.scale],
            "evaluation": self.config.evaluation or _EVALUATION[self.scale],
        }
        needs = self.needs()
        if Need.EFFORT not in needs:
            update["effort"] = None
        elif self.config.effort is None:
            named = next(s for s in selectors if Need.EFFORT in selector_needs(self.selection(s)))
            raise ValueError(
                f"the selector `{named.name}` looks at effort, which `effort: null` leaves out"
            )
        object.__setattr__(self, "config", self.config.model_copy(update=update))
        return self

    def selection(self, selector: ComparedSelector, run: int = 0) -> SelectionConfig:
        """The options of ``selector`` in run ``run``.

        Raises ``ValueError`` for a field or value that no selection has.
        """
        base = self.config.selection.model_dump()
        seed = int(selector.selection.get("seed", base["seed"])) + run
        return SelectionConfig.model_validate(
            {**base, **selector.selection, "method": selector.method, "seed": seed}
        )

    def needs(self) -> frozenset[Need]:
        """All that any of the selectors looks at."""
        needs = (selector_needs(self.selection(selector)) for selector in self.selectors)
        return frozenset().union(*needs)

    def planned(self, budgets: tuple[int, ...]) -> list[PlannedRun]:
        """Every run, at the resolved ``budgets``, run after run of all selectors.

        Run ``r`` of every selector shares its two seeds with run ``r`` of the others.
        """
        assert self.config.finetune is not None
        finetune = self.config.finetune
        found = [
            PlannedRun(
                selector.name,
                budget,
                number,
                self.selection(selector, number),
                finetune.model_copy(update={"seed": finetune.seed + number}),
            )
            for selector in self.selectors
            for budget in budgets
            for number in range(selector.runs or self.seeds)
        ]
        return sorted(found, key=lambda run: run.number)
