"""Experiment (a) and the confirmatory run at full scale, for a GPU.

All samples of Games, 1,024 chosen, LoRA on every layer:
``python -m benchmarks.experiments.full_scale --data DATA --work WORK``. Between the kernels of a small
model a GPU is idle, so trainings run in several processes beside each other. What ended is kept in WORK;
the same command goes on from there, and ``--parts report`` makes the reports on another machine.

For CPUs ``--smoke --trials test`` trains the last two layers alone and leaves out what takes a pass of the
language model over all samples.
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks._report import Target, device_text, finish
from benchmarks.experiments._problem import PROMPT, for_design, load_problem, scores_of
from benchmarks.experiments._run import FINETUNE, print_table
from benchmarks.experiments.confirmation import CONTROLS, DESIGNED
from benchmarks.experiments.selectors import CONTROLS as DESIGN_CONTROLS
from benchmarks.experiments.selectors import SELECTORS
from dealrec.comparison.kept import KeptRuns
from dealrec.comparison.results import ComparisonReport
from dealrec.comparison.running import Chosen, choose_run, compare_chosen, everything
from dealrec.config import FinetuneConfig, LoraSettings
from dealrec.config.comparison import ALL_DATA, ComparisonConfig, PlannedRun
from dealrec.config.runtime import Runtime, environment_runtime
from dealrec.config.selectors import Need
from dealrec.config.stages import StageName
from dealrec.data.prompts import PromptedSample, Prompter
from dealrec.data.samples import build_samples
from dealrec.language_models.loading import LoadedLanguageModel, load_language_model
from dealrec.recommenders.bigrec import BigRec
from dealrec.runtime import apply_runtime
from dealrec.selection.select import member_sha256
from dealrec.terminal import stage_display

DESIGN, TEST = "design", "test"
FRESH = 2000
"""Where the seeds of the confirmatory run begin."""
BATCH_TOKENS = 65_536
_OF_LANGUAGE_MODEL = {Need.EFFORT, Need.GRADIENTS, Need.VALIDATION_GRADIENTS}
Task = tuple[str, PlannedRun | int]
"""A trial, and one of its runs or the number of a training on all data."""


@dataclass(frozen=True)
class Settings:
    """What every process is told."""

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
    """Selectors on users of one kind: its data, and what is compared on them."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self._settings = name, settings
        dataset = load_problem(settings.data, settings.users, settings.work)
        self.dataset = for_design(dataset) if name == DESIGN else dataset
        comparison = ComparisonConfig.parse(self._asked())
        self.comparison = comparison.resolved(has_validation=True)
        config = self.comparison.config
        self.samples = build_samples(self.dataset, config.sampling, config.min_history)
        self.keys: list[str] = self.samples.keys(self.dataset).to_pylist()
        self.budgets = self.comparison.resolved_budgets(len(self.samples))
        self._scores: Any = None

    def score(self, *, surrogate_alone: bool = False) -> dict[StageName, float]:
        """Have all that the selectors look at, or what takes no language model; each stage's seconds."""
        config, needs = self.comparison.config, self.comparison.needs()
        if surrogate_alone:
            config, needs = config.model_copy(update={"effort": None}), needs - _OF_LANGUAGE_MODEL
        with stage_display() as stages:
            _, self._scores, seconds = scores_of(
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
        """Trainings on all data first: they take longest."""
        full = [(self.name, number) for number in range(self.comparison.full_data_runs)]
        return full + [(self.name, run) for run in self.comparison.planned(self.budgets)]

    def choose(self, task: PlannedRun | int) -> Chosen:
        """The run's samples, chosen once and kept."""
        if isinstance(task, int):
            return everything(self.keys, self.comparison, task)
        path = self._choice(task)
        if not path.is_file():
            if self._scores is None:
                self.score()
            chosen = choose_run(self.keys, self._scores, task)
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_text(
                json.dumps({"indices": chosen.indices.tolist(), "seconds": chosen.seconds})
            )
            part.rename(path)
        kept = json.loads(path.read_text())
        return Chosen(
            selector=task.selector,
            budget=task.budget,
            number=task.number,
            selection_seed=task.selection.seed,
            finetune=task.finetune,
            indices=np.array(kept["indices"], dtype=np.int64),
            sha256=member_sha256(self.keys[index] for index in kept["indices"]),
            seconds=kept["seconds"],
        )

    def was_chosen(self, task: PlannedRun | int) -> bool:
        """Whether :meth:`choose` has only to read."""
        return isinstance(task, int) or self._choice(task).is_file()

    def kept_runs(self, revision: str) -> KeptRuns:
        """Those of this trial and a model's revision."""
        folder = self._settings.work / "runs"
        return KeptRuns(folder, self.comparison, self.dataset.sha256, revision)

    def _choice(self, run: PlannedRun) -> Path:
        name = f"{self.name}-{run.selector}-{run.budget}-{run.number}.json"
        return self._settings.work / "chosen" / name

    def _asked(self) -> dict[str, Any]:
        settings, of_design = self._settings, self.name == DESIGN
        reading = {"model": settings.model, "dtype": "bfloat16", "batch_tokens": BATCH_TOKENS}
        first = 0 if of_design else FRESH
        large = FinetuneConfig(
            epochs=2, learning_rate=1e-3, batch_size=32, lora=LoraSettings(dropout=0.0)
        )
        changes = {"model": settings.model, "dtype": "bfloat16", "seed": first}
        controls = [*DESIGN_CONTROLS, {"method": DESIGNED, "runs": 5}]
        fresh = [{"method": name, "runs": settings.fresh_runs} for name in (*CONTROLS, DESIGNED)]
        return {
            "budgets": [settings.budget],
            "selectors": [*controls, *SELECTORS] if of_design else fresh,
            "seeds": settings.seeds,
            "full_data_runs": int(of_design and not settings.smoke),
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


class Trainer:
    """One process's model, for the runs of one trial."""

    def __init__(self, trial: Trial, loaded: LoadedLanguageModel, settings: Settings) -> None:
        self._trial = trial
        config = trial.comparison.config
        assert config.finetune is not None
        assert config.evaluation is not None
        self._finetune = config.finetune
        self._recommender = BigRec(
            loaded,
            trial.dataset,
            config.prompt,
            config.finetune,
            config.evaluation,
            settings.work / "trunk",
            settings.work / "catalogue",
        )
        self._prompter = Prompter(trial.dataset, trial.samples, config.prompt)
        self._kept = trial.kept_runs(loaded.revision)

    def prepare(self) -> None:
        """Keep the frozen layers' states, where some are frozen, and measure the model as it is."""
        trial = self._trial
        if self._finetune.lora.last_layers is not None:
            chosen = [trial.choose(task).indices for _, task in trial.tasks]
            with stage_display() as stages:
                needed = np.unique(np.concatenate(chosen))
                self._recommender.keep(self._prompts(needed), stages(StageName.COMPARE))
        if self._kept.untrained() is None:
            self._kept.write_untrained(self._recommender.untrained().means)

    def run(self, task: PlannedRun | int) -> None:
        """Choose, train, measure and keep, unless that was done."""
        chosen = self._trial.choose(task)
        if self._kept.read(chosen.identity, chosen.sha256) is not None:
            return
        prompts = self._prompts(chosen.indices)
        self._recommender.keep(prompts)
        result = self._recommender.train_and_measure(prompts, chosen.finetune)
        self._kept.write(chosen.identity, chosen.sha256, result)
        print(
            f"{self._trial.name} {chosen.selector} {chosen.number}: "
            f"{result.steps} steps in {result.seconds:.1f} s, measured in "
            f"{result.measured.seconds:.1f} s, NLL {result.measured.means['nll']:.3f}",
            flush=True,
        )

    def _prompts(self, indices: npt.NDArray[np.int64]) -> list[PromptedSample]:
        return [self._prompter.prompt(index) for index in indices.tolist()]


def _load(settings: Settings, threads: int | None) -> LoadedLanguageModel:
    device = apply_runtime(Runtime(threads=threads))
    return load_language_model(settings.model, dtype="bfloat16", device=device)


def _share(settings: Settings, tasks: Any, until: float) -> None:
    """A process: runs are taken until there is none, or it is too late for another."""
    loaded = _load(settings, threads=1)
    trainers: dict[str, Trainer] = {}
    while time.time() < until:
        try:
            name, task = tasks.get(timeout=10)
        except Empty:
            return
        if name not in trainers:
            trainers[name] = Trainer(Trial(name, settings), loaded, settings)
        trainers[name].run(task)


def score(name: str, settings: Settings, surrogate_alone: bool) -> None:
    """Keep what the trial's selectors look at, and how long that took."""
    seconds = Trial(name, settings).score(surrogate_alone=surrogate_alone)
    (settings.work / f"seconds-{name}.json").write_text(json.dumps(seconds))
    print(f"{name}: {seconds} on {device_text()}", flush=True)


def _in_own_process(run: Callable[..., None], *arguments: Any) -> None:
    """What torch reserved of a GPU's memory is free again only when its process ends."""
    process = multiprocessing.get_context("spawn").Process(target=run, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{run.__name__} failed")


def first_alone(settings: Settings) -> None:
    """The models as they are, and the first run, with the device to itself."""
    loaded = _load(settings, threads=None)
    trials = [Trial(name, settings) for name in settings.trials]
    trainers = [Trainer(trial, loaded, settings) for trial in trials]
    for trainer in trainers:
        trainer.prepare()
    print("alone:", end=" ")
    trainers[0].run(trials[0].comparison.planned(trials[0].budgets)[0])


def train(settings: Settings, processes: int, until: float) -> None:
    """All runs of all trials; the first one alone, to see what it takes."""
    _in_own_process(first_alone, settings)
    context = multiprocessing.get_context("spawn")
    tasks = context.Queue()
    for name in settings.trials:
        for task in Trial(name, settings).tasks:
            tasks.put(task)
    shares = [
        context.Process(target=_share, args=(settings, tasks, until)) for _ in range(processes)
    ]
    for share in shares:
        share.start()
    for share in shares:
        share.join()
    tasks.cancel_join_thread()
    failed = [share.exitcode for share in shares if share.exitcode]
    if failed:
        raise SystemExit(f"{len(failed)} of {processes} processes failed")


def report(name: str, settings: Settings) -> ComparisonReport | None:
    """Of the runs that ended; ``None`` where random selection has fewer than two."""
    trial = Trial(name, settings)
    loaded = _load(settings, threads=None)
    kept = trial.kept_runs(loaded.revision)
    ended: dict[str, list[Chosen]] = {}
    for _, task in trial.tasks:
        label = ALL_DATA if isinstance(task, int) else task.selector
        before = ended.setdefault(label, [])
        number = task if isinstance(task, int) else task.number
        if number == len(before) and trial.was_chosen(task):
            chosen = trial.choose(task)
            if kept.read(chosen.identity, chosen.sha256) is not None:
                before.append(chosen)
    asked = [
        selector.model_copy(update={"runs": len(ended[selector.name])})
        for selector in trial.comparison.selectors
        if len(ended[selector.name]) > 1
    ]
    if len(ended["random"]) < 2:
        return None
    full = len(ended.get(ALL_DATA, []))
    comparison = trial.comparison.model_copy(
        update={"selectors": tuple(asked), "full_data_runs": full}
    )
    labels = [*(selector.name for selector in asked), *([ALL_DATA] if full else [])]
    found = compare_chosen(
        trial.dataset,
        trial.samples,
        [chosen for label in labels for chosen in ended[label]],
        comparison,
        budgets=trial.budgets,
        out=settings.out / f"full-scale-{name}",
        checkpoint_dir=settings.work / "runs",
        work=settings.work,
        seconds=_seconds(settings, name),
    )
    print(f"\n{name}: {found.data.samples:,} samples, {found.data.held_out_users} users held out")
    print_table(found)
    return found


def _seconds(settings: Settings, name: str) -> Mapping[StageName, float]:
    kept = json.loads((settings.work / f"seconds-{name}.json").read_text())
    return {StageName(stage): value for stage, value in kept.items()}


def main() -> None:
    """Run it, and say what holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of Amazon Games")
    parser.add_argument("--work", type=Path, required=True, help="keeps scores and runs")
    parser.add_argument("--out", type=Path, help="folder of the reports; default: WORK/reports")
    parser.add_argument(
        "--parts", default="scores,train,report", help="of these and `surrogate`, by commas"
    )
    parser.add_argument("--trials", default=f"{DESIGN},{TEST}", help="of these, by commas")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--users", type=int, help="of the data; default: all")
    parser.add_argument("--held-out", type=int, default=3000)
    parser.add_argument("--ranking-users", type=int, default=500)
    parser.add_argument("--budget", type=int, default=1024)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fresh-runs", type=int, default=8, help="of each, on test users")
    parser.add_argument("--smoke", action="store_true", help="train two layers: for CPUs")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=600, help="no run is begun after")
    options = parser.parse_args()
    until = time.time() + 60 * options.minutes
    settings = Settings(
        data=options.data,
        work=options.work,
        out=options.out or options.work / "reports",
        model=options.model,
        users=options.users,
        held_out=options.held_out,
        ranking_users=options.ranking_users,
        budget=options.budget,
        seeds=options.seeds,
        fresh_runs=options.fresh_runs,
        smoke=options.smoke,
        trials=tuple(options.trials.split(",")),
    )
    parts = options.parts.split(",")
    if "surrogate" in parts or "scores" in parts:
        for name in settings.trials:
            _in_own_process(score, name, settings, "scores" not in parts)
    if "train" in parts:
        train(settings, options.processes, until)
    targets = []
    if "report" in parts:
        for name in settings.trials:
            targets += _targets(name, report(name, settings))
    finish("experiments.full_scale", targets)


def _targets(name: str, found: ComparisonReport | None) -> list[Target]:
    rows = found.differences if found is not None else []
    return [
        Target(
            f"{name}: NLL of {row.selector} less {row.against}",
            "interval < 0",
            row.mean,
            row.better is True,
        )
        for row in rows
        if row.metric == "nll" and row.selector in ("dealrec", DESIGNED)
    ]


if __name__ == "__main__":
    main()
