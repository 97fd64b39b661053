"""Finds a stage's function without loading the libraries of any other stage."""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from dealrec.config.stages import StageName
from dealrec.stages.context import StageContext, StageResult


def load_stage(name: StageName) -> Callable[[StageContext], StageResult]:
    """The function ``run`` of the module named after the stage."""
    module = import_module(f"dealrec.stages.{name.value}")
    return cast("Callable[[StageContext], StageResult]", module.run)
