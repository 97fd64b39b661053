"""The comparisons at full scale: on users for design, and on test users with fresh seeds."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments._problem import PROMPT, for_design, load_problem, scores_of
from benchmarks.experiments._run import FINETUNE
from benchmarks.experiments.confirmation import CONTROLS, DESIGNED
from benchmarks.experiments.selectors import SELECTORS, controls
from dealrec.comparison.kept import KeptRuns
from dealrec.comparison.runs import SelectedRun, all_data_run, select_run, selected_run
from dealrec.config import FinetuneConfig, LoraSettings
from dealrec.config.comparison import ComparisonConfig, PlannedRun
from dealrec.config.runtime import environment_runtime
from dealrec.config.selectors import Need
from dealrec.config.stages import StageName
from dealrec.data.samples import build_samples
from dealrec.disk import written_whole
from dealrec.selection.interface import Scores
from dealrec.terminal import stage_display

DESIGN, TEST = "design", "test"
FRESH = 2000
"""The first seed of the confirmatory run."""
BATCH_TOKENS = 65_536
_OF_LANGUAGE_MODEL = {Need.EFFORT, Need.GRADIENTS, Need.VALIDATION_GRADIENTS}
Task = tuple[str, PlannedRun | int]
"""A trial, and one of its runs or the number of a training on all data."""


@dataclass(frozen=True)
class Settings:
    """The settings of every process."""

    data: Path
    work: Path
    out: Path
    model: str
    users: int | None
    held_out: int
    ranking_users: int
    budget: int
    seeds: int
    fresh_runs: int
    smoke: bool
    trials: tuple[str, ...]


class Trial:
    """A comparison of selectors on users of one kind, and its data."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self._settings = name, settings
        dataset = load_problem(settings.data, settings.users, settings.work)
        self.dataset = for_design(dataset) if name == DESIGN else dataset
        comparison = ComparisonConfig.parse(self._asked())
        self.comparison = comparison.resolved(has_validation=True, has_test=True)
        config = self.comparison.config
        self.samples = build_samples(self.dataset, config.sampling, config.min_history)
        self.keys: list[str] = self.samples.keys(self.dataset).to_pylist()
        self.budgets = self.comparison.resolved_budgets(len(self.samples))
        self._scores: dict[int, Scores] = {}

    def score(self, run: int = 0, *, surrogate_alone: bool = False) -> dict[StageName, float]:
        """Compute the scores that the selectors look at in a run; return the seconds of each stage.

        ``surrogate_alone`` leaves out the scores of the language model.
        """
        config, needs = self.comparison.of_run(run), self.comparison.needs()
        if surrogate_alone:
            config, needs = config.model_copy(update={"effort": None}), needs - _OF_LANGUAGE_MODEL
        with stage_display() as stages:
            _, self._scores[run], seconds = scores_of(
                self.dataset,
                config,
                needs,
                self._settings.work,
                environment_runtime(),
                stages,
            )
        return seconds

    @property
    def tasks(self) -> list[Task]:
        """All runs; those on all data come first because they take longest."""
        full = [(self.name, number) for number in range(self.comparison.full_data_runs)]
        return full + [(self.name, run) for run in self.comparison.planned(self.budgets)]

    def select(self, task: PlannedRun | int) -> SelectedRun:
        """Select the run's samples; the selection is made once and kept."""
        if isinstance(task, int):
            return all_data_run(self.keys, self.comparison, task)
        path = self._selection(task)
        if not path.is_file():
            if task.number not in self._scores:
                self.score(task.number)
            selected = select_run(self.keys, self._scores[task.number], task)
            content = {"indices": selected.indices.tolist(), "seconds": selected.seconds}
            with written_whole(path) as part:
                part.write_text(json.dumps(content))
        kept = json.loads(path.read_text())
        indices = np.array(kept["indices"], dtype=np.int64)
        return selected_run(self.keys, task, indices, kept["seconds"])

    def was_selected(self, task: PlannedRun | int) -> bool:
        """Whether :meth:`select` finds a selection that was made earlier."""
        return isinstance(task, int) or self._selection(task).is_file()

    def kept_runs(self, revision: str) -> KeptRuns:
        """Open the trained runs of this trial on a revision of the model."""
        folder = self._settings.work / "runs"
        return KeptRuns(folder, self.comparison, self.dataset.sha256, revision)

    def _selection(self, run: PlannedRun) -> Path:
        asked = [self.dataset.sha256, self.comparison.config, run.selection, run.budget]
        digest = hashlib.sha256("\n".join(map(str, asked)).encode()).hexdigest()[:16]
        name = f"{self.name}-{run.selector}-{run.number}-{digest}.json"
        return self._settings.work / "chosen" / name

    def _asked(self) -> dict[str, Any]:
        settings, of_design = self._settings, self.name == DESIGN
        reading = {"model": settings.model, "dtype": "bfloat16", "batch_tokens": BATCH_TOKENS}
        first = 0 if of_design else FRESH
        large = FinetuneConfig(
            epochs=2, learning_rate=1e-3, batch_size=32, lora=LoraSettings(dropout=0.0)
        )
        changes = {"model": settings.model, "dtype": "bfloat16", "seed": first}
        beside = [*controls(8), {"method": DESIGNED, "runs": 5}]
        fresh = [{"method": name, "runs": settings.fresh_runs} for name in (*CONTROLS, DESIGNED)]
        return {
            "budgets": [settings.budget],
            "selectors": [*beside, *SELECTORS] if of_design else fresh,
            "seeds": settings.seeds,
            "full_data_runs": int(of_design and not settings.smoke),
            "despite_no_headroom": True,
            "config": {
                "prompt": PROMPT.model_dump(),
                "selection": {"seed": first},
                **({"effort": reading, "gradients": reading} if of_design else {}),
                "finetune": (FINETUNE if settings.smoke else large)
                .model_copy(update=changes)
                .model_dump(),
                "evaluation": {
                    "users": settings.held_out,
                    "ranking_users": settings.ranking_users,
                    "batch_tokens": 4096 if settings.smoke else BATCH_TOKENS,
                },
            },
        }
