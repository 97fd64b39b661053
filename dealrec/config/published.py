"""The options of the published method, which ``dealrec_paper`` stands for from end to end."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from dealrec.config.base import Config
from dealrec.config.effort import EffortConfig, EffortParameters, LossSpan, Reduction
from dealrec.config.influence import (
    Curvature,
    InfluenceConfig,
    InfluenceParameters,
    Risk,
    RiskTarget,
    Solver,
)
from dealrec.errors import FieldError, InputError

Options = TypeVar("Options", bound=Config)

_LEAVE_OUT = "Leave these options out, or use the selector `dealrec` with your own options."

INFLUENCE: Mapping[str, object] = {
    "target": RiskTarget.TRAIN,
    "risk": Risk.LIKELIHOOD,
    "parameters": InfluenceParameters.ATTENTION_OUTPUT,
    "curvature": Curvature.HESSIAN,
    "solver": Solver.LISSA,
    "damping": 25.0,
    "newton_steps": 0,
}
"""The influence of Lin et al. (SIGIR 2024) and of its code.

The recursion of the code converges to the solution with a damping of 0.25, which is about 25 times
the largest eigenvalue on the paper's data. Its random negatives are no part of the method: they make
the scores noise, and the loss here is exact.
"""
EFFORT: Mapping[str, object] = {
    "parameters": EffortParameters.LORA_B,
    "loss_on": LossSpan.ALL,
    "reduction": Reduction.MEAN,
    "candidates": None,
}
"""The effort of the code of Lin et al., which is measured on every sample."""


def with_published(part: Options, own: Mapping[str, object]) -> Options:
    """Fill in the published value of every option that was not given."""
    return part.model_copy(
        update={name: value for name, value in own.items() if name not in part.model_fields_set}
    )


def require_published(
    influence: InfluenceConfig, effort: EffortConfig | None, *, why: str = ""
) -> None:
    """Check that the scores of these options are those of the published method.

    ``why`` is a sentence before the options that differ.

    Raises:
        InputError: ``not_as_published``; it names every option with another value.
    """
    errors = list(_others("influence", influence, INFLUENCE))
    if effort is None:
        errors.append(FieldError("config.effort", "must not be null for `dealrec_paper`"))
    else:
        errors += _others("effort", effort, EFFORT)
    if errors:
        named = ", ".join(f"`{error.location.removeprefix('config.')}`" for error in errors)
        raise InputError(
            "`dealrec_paper` is the published method from end to end, with its own values of "
            f"{named}. {why or _LEAVE_OUT}",
            code="not_as_published",
            title="These are not the scores of the published method",
            errors=errors,
        )


def _others(part: str, config: Config, own: Mapping[str, object]) -> Iterator[FieldError]:
    for name, value in own.items():
        if getattr(config, name) != value:
            shown = "null" if value is None else value
            yield FieldError(f"config.{part}.{name}", f"must be `{shown}` for `dealrec_paper`")
