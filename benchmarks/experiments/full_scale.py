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
from pathlib import Path
from queue import Empty
from typing import Any

from benchmarks._report import Target, device_text, finish
from benchmarks.experiments._run import print_table
from benchmarks.experiments._trial import DESIGN, TEST, Settings, Trial
from benchmarks.experiments.confirmation import DESIGNED
from dealrec.comparison.preparing import Place
from dealrec.comparison.results import ComparisonReport
from dealrec.comparison.running import compare
from dealrec.comparison.runs import SelectedRun
from dealrec.comparison.training import RunTrainer
from dealrec.config.comparison import ALL_DATA, CONTROL, PlannedRun
from dealrec.config.runtime import Runtime
from dealrec.config.stages import StageName
from dealrec.language_models.loading import LoadedLanguageModel, load_language_model
from dealrec.runtime import apply_runtime
from dealrec.terminal import stage_display


class Trainer:
    """One process's model, for the runs of one trial."""

    def __init__(self, trial: Trial, loaded: LoadedLanguageModel, settings: Settings) -> None:
        self._trial = trial
        self._trainer = RunTrainer(
            trial.dataset,
            trial.samples,
            trial.comparison,
            loaded,
            trunk=settings.work / "trunk",
            catalogue=settings.work / "catalogue",
        )
        self._kept = trial.kept_runs(loaded.revision)

    def prepare(self) -> None:
        """Keep the frozen layers' states, if some are frozen, and measure the untrained model."""
        recommender = self._trainer.recommender
        if recommender.trained_layers < recommender.layers:
            selected = [self._trial.select(task) for _, task in self._trial.tasks]
            with stage_display() as stages:
                self._trainer.keep(selected, stages(StageName.COMPARE))
        if self._kept.read_untrained() is None:
            self._kept.write_untrained(self._trainer.untrained())

    def run(self, task: PlannedRun | int) -> None:
        """Select, train, measure and keep, unless that was done."""
        selected = self._trial.select(task)
        if self._kept.read(selected) is not None:
            return
        self._trainer.keep([selected])
        trained = self._trainer.train(selected)
        self._kept.write(trained)
        print(
            f"{self._trial.name} {selected.selector} {selected.number}: "
            f"{trained.steps} steps in {trained.seconds:.1f} s, measured in "
            f"{trained.measurement.seconds:.1f} s, NLL {trained.measurement.means['nll']:.3f}",
            flush=True,
        )


def _load(settings: Settings, threads: int | None) -> LoadedLanguageModel:
    device = apply_runtime(Runtime(threads=threads))
    return load_language_model(settings.model, dtype="bfloat16", device=device)


def _share(settings: Settings, tasks: Any, until: float) -> None:
    """Train runs in one process until none is left or it is too late for another."""
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
    """Compute and keep the scores that the trial's selectors look at, and how long that took."""
    seconds = Trial(name, settings).score(surrogate_alone=surrogate_alone)
    (settings.work / f"seconds-{name}.json").write_text(json.dumps(seconds))
    print(f"{name}: {seconds} on {device_text()}", flush=True)


def _in_own_process(run: Callable[..., None], *arguments: Any) -> None:
    """Call ``run`` in a process of its own, so that the GPU memory torch reserves is freed at its end."""
    process = multiprocessing.get_context("spawn").Process(target=run, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{run.__name__} failed")


def first_alone(settings: Settings) -> None:
    """Measure the untrained models and make the first run with the device to itself."""
    loaded = _load(settings, threads=None)
    trials = [Trial(name, settings) for name in settings.trials]
    trainers = [Trainer(trial, loaded, settings) for trial in trials]
    for trainer in trainers:
        trainer.prepare()
    print("alone:", end=" ")
    trainers[0].run(trials[0].comparison.planned(trials[0].budgets)[0])


def train(settings: Settings, processes: int, until: float) -> None:
    """Make all runs of all trials; the first one runs alone, so that its time is known."""
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
    """Report on the finished runs; ``None`` if random selection has fewer than two."""
    trial = Trial(name, settings)
    loaded = _load(settings, threads=None)
    kept = trial.kept_runs(loaded.revision)
    ended: dict[str, list[SelectedRun]] = {}
    for _, task in trial.tasks:
        label = ALL_DATA if isinstance(task, int) else task.selector
        before = ended.setdefault(label, [])
        number = task if isinstance(task, int) else task.number
        if number == len(before) and trial.was_selected(task):
            selected = trial.select(task)
            if kept.read(selected) is not None:
                before.append(selected)
    asked = [
        selector.model_copy(update={"runs": len(ended[selector.name])})
        for selector in trial.comparison.selectors
        if len(ended[selector.name]) > 1
    ]
    if len(ended[CONTROL]) < 2:
        return None
    full = len(ended.get(ALL_DATA, []))
    comparison = trial.comparison.model_copy(
        update={"selectors": tuple(asked), "full_data_runs": full}
    )
    labels = [*(selector.name for selector in asked), *([ALL_DATA] if full else [])]
    found = compare(
        trial.dataset,
        trial.samples,
        [run for label in labels for run in ended[label]],
        comparison,
        Place(
            out=settings.out / f"full-scale-{name}",
            checkpoint_dir=settings.work / "runs",
            work=settings.work,
        ),
        budgets=trial.budgets,
        seconds=[_seconds(settings, name)] * comparison.most_runs,
    )
    print(f"\n{name}: {found.data.samples:,} samples, {found.data.held_out_users} users held out")
    print_table(found)
    return found


def _seconds(settings: Settings, name: str) -> Mapping[StageName, float]:
    kept = json.loads((settings.work / f"seconds-{name}.json").read_text())
    return {StageName(stage): value for stage, value in kept.items()}


def main() -> None:
    """Run it and print which targets are met."""
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
