"""Does the selector ``metagradient`` help on users that it did not aim at?

A coreset is chosen by differentiating through the training of the product's encoder, aimed at one half of
the validation users, and measured on the other half: the encoder is trained on it and on random coresets,
with the same seeds. Both are what :mod:`dealrec.metagradient` has; no test user is asked.

``python -m benchmarks.metagradient --data DATA --work WORK``
"""

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks._report import Target, device_text, finish, peak_memory_mib
from dealrec.config import DataOptions, PromptConfig, SelectionConfig, SplitMethod
from dealrec.config.titles import TitlesConfig
from dealrec.data.dataset import Dataset
from dealrec.data.ingest import ingest
from dealrec.data.samples import build_samples
from dealrec.metagradient.descent import Descent, starting_training
from dealrec.metagradient.encoder import Titles, candidate_logits, titles_of_users
from dealrec.metagradient.reading import read_titles
from dealrec.metagradient.risk import ValidationRisk
from dealrec.metagradient.training import Training
from dealrec.metrics.crossed import estimate, paired
from dealrec.metrics.preference import PREFERENCE, preference_metrics
from dealrec.selection.titles import AskedUsers

_SEED = 1000
"""The first seed of the trainings that are measured, of which the descent makes none."""
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Problem:
    """Samples to choose from, and two halves of the validation users."""

    training: Training
    design: ValidationRisk
    test: Titles
    candidates: npt.NDArray[np.int32]
    """[U, C] those of the test users."""

    @property
    def samples(self) -> int:
        """The number of samples to choose from."""
        return len(self.training.titles)


def main() -> None:
    """Run it and print which targets are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--pool", type=int, default=8192)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--budgets", type=int, nargs="+", default=[256, 512, 1024, 2048])
    parser.add_argument("--rounds", type=int, default=SelectionConfig().rounds)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--noun", default="item", help="what an item is called in prompts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    problem = prepared(options)
    rows: dict[str, Floats] = {"untrained": _preference(problem, problem.training)[None]}
    rows[f"all {problem.samples:,}"] = measured(problem, [np.arange(problem.samples)])
    targets = []
    for budget in options.budgets:
        generator = np.random.default_rng(1)
        draws = [generator.choice(problem.samples, budget, False) for _ in range(options.runs + 1)]
        started = time.process_time()
        chosen, known = descended(problem, draws.pop(), options.rounds)
        seconds = time.process_time() - started
        random, best = measured(problem, draws), measured(problem, [chosen] * options.runs)
        rows[f"random {budget:,}"], rows[f"metagradient {budget:,}"] = random, best
        gain = paired(best, random)
        print(
            f"{budget:,}: on the users it was chosen for {known[0]:.4f} to {max(known):.4f} nats in "
            f"{seconds:.0f} s of processor time; on others less random {gain.mean:+.4f} "
            f"[{gain.low:+.4f}, {gain.high:+.4f}] (p = {gain.p_value:.3f})",
            flush=True,
        )
        targets.append(Target(f"{budget}: preference less random", "> 0", gain.mean, gain.low > 0))
    for name, figures in rows.items():
        found = estimate(figures)
        print(f"{name:>24}: preference {found.mean:.4f} [{found.low:.4f}, {found.high:.4f}] nats")
    print(f"{device_text()}, {peak_memory_mib():,.0f} MiB at most")
    finish("metagradient", targets)


def prepared(options: argparse.Namespace) -> Problem:
    """Read the data, and the states of titles, which are kept in ``work``."""
    folder = options.work / f"{options.data.name}-leave-one-out"
    if not (folder / "dataset.json").is_file():
        interactions, items = (
            options.data / f"{name}.csv.gz" for name in ("interactions", "items")
        )
        split = DataOptions(split=SplitMethod.LEAVE_ONE_OUT)
        ingest(interactions, items=items, out=folder, options=split)
    dataset = Dataset.load(folder)
    table, _ = read_titles(
        dataset,
        build_samples(dataset),
        PromptConfig(item_noun=options.noun),
        TitlesConfig(model="smollm2-135m", validation_users=options.users),
        checkpoint_dir=options.work / "titles",
    )
    picked = np.random.default_rng(0).permutation(len(table.targets))[: options.pool]
    training = starting_training(table.take(picked), SelectionConfig())
    assert table.validation is not None
    design, test = (_half(table.validation, first) for first in (0, 1))
    return Problem(
        training,
        ValidationRisk(_titles(design, training)),
        _titles(test, training),
        np.asarray(test.candidates),
    )


def descended(problem: Problem, start: Ints, rounds: int) -> tuple[Ints, list[float]]:
    """The best coreset by the users of ``design``, and their preference after each exchange."""
    members = np.isin(np.arange(problem.samples), start)
    descent = Descent(problem.training, problem.design, rounds, trainings=1)
    found = list(descent.rounds(members))
    best = min(found, key=lambda one: one.risk)
    return np.flatnonzero(best.members), [problem.design.chance - one.risk for one in found]


def measured(problem: Problem, coresets: list[Ints]) -> Floats:
    """[R, U] preference of the test users after a training on each coreset, with a seed of its own."""
    rows = []
    for seed, places in enumerate(coresets):
        training = problem.training.with_seed(_SEED + seed)
        members = torch.from_numpy(np.sort(places))
        state, _ = training.run(members, members[:0], every=1_000_000)  # no state is kept
        rows.append(_preference(problem, replace(training, start=state.parameters)))
    return np.stack(rows)


def _preference(problem: Problem, trained: Training) -> Floats:
    with torch.no_grad():
        losses = -candidate_logits(problem.test, trained.start).double().numpy()
    return preference_metrics(losses, problem.candidates)[PREFERENCE]


def _half(asked: AskedUsers, first: int) -> AskedUsers:
    return AskedUsers(asked.histories[first::2], asked.candidates[first::2])


def _titles(asked: AskedUsers, training: Training) -> Titles:
    return titles_of_users(training.titles, asked, training.config.encoder.decay)


if __name__ == "__main__":
    main()
