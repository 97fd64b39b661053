"""Finds a stage's function without loading the libraries of any other stage."""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from importlib import import_module
from typing import cast

from dealrec.config import PruneConfig
from dealrec.config.stages import STAGES, Phase, StageName
from dealrec.environment import environment
from dealrec.stages.context import StageContext, StageResult

Run = Callable[[StageContext], StageResult]

_OF_TABLES = ("pandas",)
"""Arrow loads it when it makes its first value, where it is installed."""
_OF_MODELS = (
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.llama.modeling_llama",
)
"""Modules of a language model, with one family's for those that all families share."""
_OF_ADAPTERS = ("peft",)


def load_stage(name: StageName) -> Run:
    """Load the function ``run`` of the module named after the stage.

    The details of a scoring stage also say on which machine it ran; the coreset's manifest keeps that.
    """
    module = import_module(f"dealrec.stages.{name.value}")
    run = cast("Run", module.run)
    return _with_environment(run) if STAGES[name].phase is Phase.SCORING else run


def late_modules(name: StageName, config: PruneConfig) -> tuple[str, ...]:
    """Return the library modules that the stage imports while it works, after :func:`load_stage`."""
    spec = STAGES[name]
    use = spec.language_model(config)
    if use is None:
        return _OF_TABLES
    adapted = use.adapter is not None or spec.phase in (Phase.TRAINING, Phase.COMPARISON)
    return _OF_MODELS + (_OF_ADAPTERS if adapted else ()) + _OF_TABLES


def _with_environment(run: Run) -> Run:
    @wraps(run)
    def described(context: StageContext) -> StageResult:
        result = run(context)
        return replace(result, details={**result.details, "environment": environment()})

    return described
