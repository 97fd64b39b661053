"""Surrogates trained on halves of the users, each kept on disk as soon as it is finished."""

import hashlib
import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from dealrec.config import SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.disk import written_whole
from dealrec.influence.examples import Examples
from dealrec.influence.fidelity.halves import Bools, training_of
from dealrec.progress import Reporter
from dealrec.surrogates.interface import Surrogate
from dealrec.surrogates.storage import TrainedSurrogate, load_surrogate
from dealrec.surrogates.training import train_surrogate

Floats = npt.NDArray[np.float64]


class PlannedTraining(NamedTuple):
    """One model to train."""

    half: int | None
    """``None``: on all users."""
    seed: int
    """0, 1, … of this half."""

    @property
    def name(self) -> str:
        """Of its file or folder."""
        return f"{'all' if self.half is None else f'half-{self.half:03}'}-seed-{self.seed}"


@dataclass(frozen=True)
class TrainingPlan:
    """All that the trainings depend on; the same plan finds its finished trainings again."""

    dataset: Dataset
    surrogate: SurrogateConfig
    members: Bools
    """[H, U], who is in each half."""
    seeds: int
    """Trainings of each half."""
    surrogates: int
    """Trainings on all users."""
    queries: tuple[Examples, ...]
    """Sets of examples whose losses are measured."""

    def trainings(self) -> list[PlannedTraining]:
        """On all users first: predictions need them alone."""
        full = [PlannedTraining(None, seed) for seed in range(self.surrogates)]
        halves = range(len(self.members))
        return full + [PlannedTraining(half, seed) for seed in range(self.seeds) for half in halves]

    def fingerprint(self) -> str:
        """SHA-256 over what a measured loss depends on, less how many trainings there are."""
        digest = hashlib.sha256(self.dataset.sha256.encode())
        digest.update(json.dumps(self.surrogate.model_dump(mode="json")).encode())
        for queries in self.queries:
            for array in (queries.items, queries.starts, queries.ends):
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def configuration(self, training: PlannedTraining) -> SurrogateConfig:
        """With a seed of its own."""
        own = 0 if training.half is None else 1_000 * (1 + training.half)
        seed = (self.surrogate.seed + own + training.seed) % 2**31
        return self.surrogate.model_copy(update={"seed": seed})


@dataclass(frozen=True)
class TrainingResults:
    """What came of the trainings."""

    surrogates: list[TrainedSurrogate]
    losses: list[Floats]
    """For each set of queries, [seeds, H, Q]."""


def run_trainings(
    plan: TrainingPlan, folder: Path, processes: int, reporter: Reporter
) -> TrainingResults:
    """Train what ``folder`` does not hold yet, ``processes`` at a time on one thread each.

    The result depends on neither ``processes`` nor interruptions.
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


def example_losses(model: Surrogate, examples: Examples) -> Floats:
    """[E] losses over the whole catalogue, as the model is."""
    first = next(model.parameters())
    losses = np.empty(len(examples))
    with torch.no_grad():
        for batch in examples.batches(first.dtype, first.device):
            values = model.sample_losses(batch.sequences, batch.targets, batch.weights)
            losses[batch.index.cpu().numpy()] = values.to(torch.float64).cpu().numpy()
    return losses


def _path(plan: TrainingPlan, folder: Path, training: PlannedTraining) -> Path:
    """A half's name tells its users, so that other halves never take its place."""
    if training.half is None:
        return folder / training.name
    users = hashlib.sha256(np.packbits(plan.members[training.half]).tobytes()).hexdigest()[:12]
    return folder / f"{training.name}-{users}.npz"


def _finished(
    plan: TrainingPlan, folder: Path, missing: list[PlannedTraining], processes: int
) -> Iterator[PlannedTraining]:
    """Each training when it is on disk."""
    if processes == 1 or len(missing) < 2:
        for one in missing:
            _train(plan, folder, one)
            yield one
        return
    pool = ProcessPoolExecutor(
        min(processes, len(missing)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_open,
        initargs=(plan, folder),
    )
    try:
        futures = [pool.submit(_train_here, one) for one in missing]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _train(plan: TrainingPlan, folder: Path, training: PlannedTraining) -> None:
    """Train one model and keep it, or its losses for a half, in a file that appears whole."""
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
    losses = [example_losses(trained.model, queries) for queries in plan.queries]
    named = {str(place): values for place, values in enumerate(losses)}
    with written_whole(path) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **named)


_opened: list[tuple[TrainingPlan, Path]] = []
"""What a process of the pool works on: one entry, set when the process starts."""


def _open(plan: TrainingPlan, folder: Path) -> None:
    _opened[:] = [(plan, folder)]


def _train_here(training: PlannedTraining) -> PlannedTraining:
    ((plan, folder),) = _opened
    _train(plan, folder, training)
    return training
