"""Trains surrogates on halves of the users, and writes each to disk as soon as it is finished."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from dealrec.config import SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.disk import written_whole
from dealrec.influence.examples import Examples
from dealrec.influence.fidelity.halves import Bools, training_of
from dealrec.influence.fidelity.intervals import Floats
from dealrec.influence.fidelity.processes import run_in_processes
from dealrec.progress import Reporter
from dealrec.surrogates.interface import Surrogate
from dealrec.surrogates.storage import TrainedSurrogate, load_surrogate
from dealrec.surrogates.training import train_surrogate


class PlannedTraining(NamedTuple):
    """One model to train."""

    half: int | None
    """The place of the half in the plan; ``None`` stands for all users."""
    seed: int
    """0, 1, … for the repetitions with this half."""

    @property
    def name(self) -> str:
        """The name of its file or folder."""
        return f"{'all' if self.half is None else f'half-{self.half:03}'}-seed-{self.seed}"


@dataclass(frozen=True)
class TrainingPlan:
    """Everything the trainings depend on. The same plan finds its finished trainings again."""

    dataset: Dataset
    surrogate: SurrogateConfig
    members: Bools
    """[H, U] whether a user is in each half."""
    seeds: int
    """The number of trainings on each half."""
    surrogates: int
    """The number of trainings on all users."""
    queries: tuple[Examples, ...]
    """The sets of examples whose losses are measured."""

    def trainings(self) -> list[PlannedTraining]:
        """List the trainings, first those on all users, which suffice for predictions."""
        full = [PlannedTraining(None, seed) for seed in range(self.surrogates)]
        halves = range(len(self.members))
        return full + [PlannedTraining(half, seed) for seed in range(self.seeds) for half in halves]

    def fingerprint(self) -> str:
        """Hash everything a measured loss depends on with SHA-256; the number of trainings is no part."""
        digest = hashlib.sha256(self.dataset.sha256.encode())
        digest.update(json.dumps(self.surrogate.model_dump(mode="json")).encode())
        for queries in self.queries:
            for array in (queries.items, queries.starts, queries.ends):
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def configuration(self, training: PlannedTraining) -> SurrogateConfig:
        """Return the configuration of one training, which has its own seed."""
        own = 0 if training.half is None else 1_000 * (1 + training.half)
        seed = (self.surrogate.seed + own + training.seed) % 2**31
        return self.surrogate.model_copy(update={"seed": seed})


@dataclass(frozen=True)
class TrainingResults:
    """The results of all trainings of a plan."""

    surrogates: list[TrainedSurrogate]
    """The models that were trained on all users."""
    losses: list[Floats]
    """[seeds, H, Q] losses in nats for each set of queries."""


def run_trainings(
    plan: TrainingPlan, folder: Path, processes: int, reporter: Reporter
) -> TrainingResults:
    """Run the trainings that ``folder`` does not hold yet, ``processes`` at a time on one thread each.

    The results do not depend on ``processes`` or on interruptions.
    """
    folder = folder / plan.fingerprint()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    every = plan.trainings()
    missing = [one for one in every if not _path(plan, folder, one).exists()]
    done = len(every) - len(missing)
    reporter.progress(done, len(every), "training")
    for _ in _finished(plan, folder, missing, processes):
        done += 1
        reporter.progress(done, len(every), "training")
    surrogates = [load_surrogate(_path(plan, folder, one)) for one in every if one.half is None]
    shape = (plan.seeds, len(plan.members))
    losses = [np.empty((*shape, len(queries))) for queries in plan.queries]
    for one in every:
        if one.half is not None:
            with np.load(_path(plan, folder, one)) as kept:
                for place, values in enumerate(losses):
                    values[one.seed, one.half] = kept[str(place)]
    return TrainingResults(surrogates, losses)


def _example_losses(model: Surrogate, examples: Examples) -> Floats:
    """Compute the [E] losses over the whole catalogue, in the model's precision."""
    first = next(model.parameters())
    losses = np.empty(len(examples))
    with torch.no_grad():
        for batch in examples.batches(first.dtype, first.device):
            values = model.sample_losses(batch.sequences, batch.targets, batch.weights)
            losses[batch.index.cpu().numpy()] = values.to(torch.float64).cpu().numpy()
    return losses


def _path(plan: TrainingPlan, folder: Path, training: PlannedTraining) -> Path:
    """Return the path of a training's results; it identifies the half's users, not its number alone."""
    if training.half is None:
        return folder / training.name
    users = hashlib.sha256(np.packbits(plan.members[training.half]).tobytes()).hexdigest()[:12]
    return folder / f"{training.name}-{users}.npz"


def _finished(
    plan: TrainingPlan, folder: Path, missing: list[PlannedTraining], processes: int
) -> Iterator[None]:
    """Run the missing trainings; yield after each, when its results are on disk."""
    shared = (plan, folder)
    if processes == 1 or len(missing) < 2:
        for training in missing:
            _train(shared, training)
            yield
        return
    for _ in run_in_processes(_train, shared, missing, processes):
        yield


def _train(shared: tuple[TrainingPlan, Path], training: PlannedTraining) -> None:
    """Train one model, and write it, or the query losses of a half, to a path that appears whole."""
    plan, folder = shared
    everybody = np.ones(plan.dataset.n_users, dtype=np.bool_)
    members = everybody if training.half is None else plan.members[training.half]
    trained = train_surrogate(
        training_of(plan.dataset, members),
        plan.configuration(training),
        runtime=Runtime(threads=1, device="cpu"),
    )
    path = _path(plan, folder, training)
    if training.half is None:
        with written_whole(path) as part:
            trained.save(part)
        return
    losses = [_example_losses(trained.model, queries) for queries in plan.queries]
    named = {str(place): values for place, values in enumerate(losses)}
    with written_whole(path) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **named)
