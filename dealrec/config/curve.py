"""How many samples are enough: a curve that a comparison has drawn, and the budget that a target takes."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from dealrec.config.base import Config
from dealrec.config.data import Sampling
from dealrec.config.finetune import FinetuneConfig
from dealrec.config.prompt import PromptConfig
from dealrec.config.prune import PruneConfig
from dealrec.config.recommenders import RECOMMENDERS
from dealrec.errors import FieldError, InputError

_AS_GOOD = frozenset({"seed", "checkpoint_steps", "activation_checkpointing"})
"""Options of a training that change how it runs, and not how much it learns."""
_TEXT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*(?:of\s+(?:full|all)\s*)?", re.IGNORECASE)


def _read(value: Any) -> Any:
    """Read a share, or its text such as ``95 % of full``."""
    if isinstance(value, str):
        found = _TEXT.fullmatch(value)
        if found is None:
            raise ValueError(f"{value[:40]!r} is not a target; write it as `95 % of full`")
        return float(f"{float(found[1]) / 100:.12g}")
    return value


Target = Annotated[
    float, Field(gt=0, le=1), BeforeValidator(_read, json_schema_input_type=str | float)
]
"""A share of what training on all samples gives: 0.95, or its text ``95 % of full``."""


_TARGET: TypeAdapter[float] = TypeAdapter(Target)


def parse_target(value: object) -> float:
    """Read a target from a number or from its text.

    Raises:
        InputError: ``invalid_target``.

    Examples:
        >>> parse_target("95 % of full"), parse_target("80%"), parse_target(0.5)
        (0.95, 0.8, 0.5)
    """
    try:
        return _TARGET.validate_python(value)
    except ValidationError:
        message = "must be a share of what all samples give, such as `95 % of full`"
        raise InputError(
            f"{message.capitalize()}.",
            code="invalid_target",
            title="The target cannot be used",
            errors=[FieldError("target", message)],
        ) from None


class Result(BaseModel):
    """Base of records that are a result."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class Figure(Result):
    """A mean over runs and held-out users, with its 95 % interval over both."""

    mean: float
    low: float
    high: float


class CurvePoint(Result):
    """Random selection of so many samples."""

    samples: int
    """The number of samples; 0 for the model before training."""
    runs: int
    """The number of trainings; 0 for the model before training."""
    metrics: dict[str, Figure]
    share: Figure | None = None
    """The share of the gain of all samples in the primary metric, with its interval over users and runs;
    ``None`` if all samples are not shown to be better than none."""


class CurveOf(Result):
    """The data and options for which a curve holds."""

    dataset_sha256: str
    sampling: Sampling
    min_history: int
    prompt: PromptConfig
    recommender: str
    model: str
    training: FinetuneConfig
    """The options of the trainings, recommender and model among them."""

    @classmethod
    def of(cls, dataset_sha256: str, config: PruneConfig) -> "CurveOf":
        """Describe what a curve under ``config``, which trains, holds for."""
        assert config.finetune is not None
        return cls(
            dataset_sha256=dataset_sha256,
            sampling=config.sampling,
            min_history=config.min_history,
            prompt=config.prompt,
            recommender=config.finetune.recommender,
            model=config.finetune.model,
            training=config.finetune,
        )


class Curve(Result):
    """The metrics of random selection at growing budgets, from no samples to all."""

    of: CurveOf
    metric: str
    """The primary metric, of which shares are."""
    points: list[CurvePoint]
    """By ascending ``samples``; the last one is all samples, or as many as were affordable."""

    @property
    def full(self) -> int:
        """The samples of the last point."""
        return self.points[-1].samples

    def reaching(self, share: float) -> CurvePoint | None:
        """Return the smallest measured budget from which on the mean share is at least ``share``.

        Nothing is fitted between budgets. ``None``: shares are not known, because all samples are not
        shown to be better than none.
        """
        if self.points[-1].share is None:
            return None
        found = self.points[-1]
        for point in reversed(self.points[1:]):
            if point.share is None or point.share.mean < share:
                break
            found = point
        return found

    def surely_reaching(self, share: float) -> CurvePoint | None:
        """Return the smallest measured budget from which on the interval lies above ``share``, if any."""
        found = None
        for point in reversed(self.points[1:]):
            if point.share is None or point.share.low < share:
                break
            found = point
        return found


class TargetUse(Result):
    """The budget that followed from a target, and the curve that it followed from."""

    target: float
    """The requested share of what all samples give."""
    samples: int
    """The budget."""
    share: Figure
    """The share that this many samples reached, with its interval."""
    curve: Curve

    @property
    def told(self) -> str:
        """A sentence about the budget that followed."""
        low, mean, high = (
            f"{100 * end:.0f}" for end in (self.share.low, self.share.mean, self.share.high)
        )
        return (
            f"The target of {100 * self.target:.12g} % needs {self.samples:,} of {self.curve.full:,} "
            f"samples: on the curve of {self.curve.of.model}, this many gave {mean} % [{low}, {high}] "
            "of the gain from all samples."
        )


def resolve_target(target: float, curve: Curve) -> TargetUse:
    """Find the budget that reaches ``target`` on ``curve``.

    Raises:
        InputError: ``no_curve`` where the curve shows no gain of all samples.
    """
    point = curve.reaching(target)
    if point is None or point.share is None:
        raise no_curve(
            "The curve of this data set does not show that training on all samples is better than no "
            "training, so no budget can reach a share of its gain. Give a budget instead."
        )
    return TargetUse(target=target, samples=point.samples, share=point.share, curve=curve)


def require_curve_of(curve: Curve, dataset_sha256: str, config: PruneConfig) -> None:
    """Check that ``curve`` holds for the data and the configuration of a job.

    Raises:
        InputError: ``no_curve``; it names what is different.
    """
    if differences := curve_differences(curve.of, dataset_sha256, config):
        raise no_curve(
            f"The curve was drawn with {' and '.join(differences)}, so it does not apply to this job. "
            f"Give the job the same options, or draw a curve for it: {COMMAND}."
        )


def curve_differences(of: CurveOf, dataset_sha256: str, config: PruneConfig) -> list[str]:
    """Name what is different between a curve and a job; a job that trains nothing may use any training."""
    facts: Mapping[str, tuple[object, object]] = {
        "another data set": (of.dataset_sha256, dataset_sha256),
        "another `sampling`": (of.sampling, config.sampling),
        "another `min_history`": (of.min_history, config.min_history),
        "another `prompt`": (of.prompt, config.prompt),
    }
    found = [name for name, (first, second) in facts.items() if first != second]
    if (training := config.finetune) is None:
        return found
    names = ("recommender", "model")
    others = [name for name in names if getattr(of, name) != getattr(training, name)]
    if others:
        return found + [f"the {name} `{getattr(of, name)}`" for name in others]
    return [*found, *_other_options(of.training, training, "finetune")]


def _other_options(curve: Config, job: Config, location: str) -> Iterator[str]:
    """Name the options of the curve's training that the job has otherwise and that change what is learned."""
    unread = set(_AS_GOOD)
    if isinstance(curve, FinetuneConfig):
        own = {name for entry in RECOMMENDERS.values() for name in entry.parameters}
        unread |= own - {*curve.entry.parameters}
    for name in type(curve).model_fields:
        first, second, place = getattr(curve, name), getattr(job, name), f"{location}.{name}"
        if name in unread or first == second:
            continue
        if isinstance(first, Config):
            yield from _other_options(first, second, place)
        else:
            text = first if isinstance(first, str) else json.dumps(first)
            yield f"`{place}={text}`"


COMMAND = "`dealrec compare DATA --items ITEMS --out REPORT --curve 1%,2%,5%,10%,25%,50%`"
"""The command that draws a curve."""


def no_curve(text: str) -> InputError:
    """Make the refusal of a target without a curve that it could follow from."""
    return InputError(
        text,
        code="no_curve",
        title="No curve says how many samples the target takes",
        errors=[FieldError("target", "there is no curve for it")],
    )
