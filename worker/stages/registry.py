"""Finds a stage's function without loading any other stage's libraries."""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from dealrec.config.stages import StageName
from dealrec.worker.stages.context import StageContext, StageResult


def load_stage(name: str) -> Callable[[StageContext], StageResult]:
    """``run`` of the module named after the stage."""
    module = import_module(f"dealrec.worker.stages.{StageName(name).value}")
    return cast("Callable[[StageContext], StageResult]", module.run)
