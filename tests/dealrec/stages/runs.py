"""Small jobs for tests of the library's executor: their data, their options, and who watches them."""

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dealrec
from dealrec.config.runtime import Runtime
from dealrec.config.stages import StageName
from dealrec.progress import Reporter, Silent
from dealrec.prune_result import PruneResult

BUDGET = 8


def options(model: str | None) -> dict[str, Any]:
    """A job that trains on its coreset where ``model`` is given."""
    small = {"epochs": 3, "patience": 3, "hidden_size": 8, "heads": 1, "layers": 1}
    config: dict[str, Any] = {"effort": None, "surrogate": small}
    if model is not None:
        config["finetune"] = {
            "model": model,
            "epochs": 2,
            "batch_size": 4,
            "learning_rate": 0.01,
            "checkpoint_steps": 1,
        }
    return config


def prune(
    data: Path, out: Path, config: dict[str, Any], budget: int = BUDGET, **more: Any
) -> PruneResult:
    """Run the job on one thread."""
    return dealrec.prune(
        data / "interactions.csv",
        items=data / "items.csv",
        budget=budget,
        out=out,
        config=config,
        runtime=Runtime(threads=1, device="cpu"),
        **more,
    )


@dataclass
class Watch(Silent):
    """The reporter of all stages: notes which begin, and from where each stage goes on."""

    begun: list[StageName] = field(default_factory=list)
    first: dict[StageName, int] = field(default_factory=dict)
    """The units of work that each stage found done."""

    def __call__(self, stage: StageName) -> Reporter:
        self.begun.append(stage)
        return self

    def progress(self, done: int, total: int, unit: str) -> None:
        self.first.setdefault(self.begun[-1], done)


@dataclass
class Killer(Watch):
    """Kills this very process in the middle of a stage."""

    stage: StageName = StageName.SURROGATE

    def progress(self, done: int, total: int, unit: str) -> None:
        if self.begun[-1] is self.stage and 0 < done < total and done > total // 3:
            os.kill(os.getpid(), signal.SIGKILL)
