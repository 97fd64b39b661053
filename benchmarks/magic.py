"""The most that a selection could give, by differentiating through training.

A coreset is chosen with knowledge that no selector has: what the preference of held-out users would gain from
each sample, exact to first order (MAGIC), and again after every exchange (metagradient descent, Engstrom
et al. 2025, arXiv 2503.13751). If even that is not better on other users than a random draw, the budget and
not the selector is the question. The recommender is the small one of
:mod:`~benchmarks._unrolled`.

``python -m benchmarks.magic --data DATA --work WORK``
"""

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks._report import Target, device_text, finish, timed
from benchmarks._unrolled import (
    Asked,
    Samples,
    State,
    Training,
    cross_entropies,
    fitted_temperature,
)
from dealrec.config import DataOptions, SampleLoss, SplitMethod
from dealrec.data.dataset import Dataset
from dealrec.data.ingest import ingest
from dealrec.data.samples import Samples as DataSamples
from dealrec.data.samples import build_samples, validation_samples
from dealrec.influence.examples import Examples
from dealrec.influence.preference import draw_candidates
from dealrec.language_models.loading import load_language_model
from dealrec.metrics.crossed import estimate, paired
from dealrec.recommenders.grounding import catalogue_vectors

_HISTORY, _CANDIDATES, _STEPS = 10, 16, 16
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Problem:
    """Samples to choose from, and two halves of the validation users."""

    items: torch.Tensor
    pool: Samples
    design: Asked
    test: Asked


def main() -> None:
    """Run it and print which targets are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--pool", type=int, default=8192)
    parser.add_argument("--users", type=int, default=4000)
    parser.add_argument("--budgets", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--exchanges", type=int, default=12)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    options = parser.parse_args()
    problem = prepared(options)
    n = len(problem.pool.targets)
    error = checked(problem, options)
    rows: dict[str, Floats] = {}
    targets = [Target("derivative against a difference", "<= 1e-4", error, error <= 1e-4)]
    everything = measured(problem, np.ones((options.runs, n), bool), options)
    untrained = _preference(Training(problem.items, problem.pool, 0, 1, 0, 0).initial(), problem)[
        None
    ]
    rows["untrained"], rows[f"all {n:,}"] = untrained, everything
    for budget in options.budgets:
        with timed() as watch:
            chosen, known = descended(problem, budget, options)
        generator = np.random.default_rng(1)
        drawn = np.stack(
            [_members(n, generator.choice(n, budget, False)) for _ in range(options.runs)]
        )
        random = measured(problem, drawn, options)
        best = measured(problem, np.stack([chosen] * options.runs), options)
        rows[f"random {budget:,}"], rows[f"differentiated {budget:,}"] = random, best
        gain = paired(best, random)
        print(
            f"{budget:,}: on the users it was chosen for {known[0]:.4f} to {known[-1]:.4f} nats in "
            f"{watch.seconds:.0f} s; on others less random {gain.mean:+.4f} "
            f"[{gain.low:+.4f}, {gain.high:+.4f}] (p = {gain.p_value:.3f})"
        )
        targets.append(Target(f"{budget}: preference less random", "> 0", gain.mean, gain.low > 0))
    for name, figures in rows.items():
        found = estimate(figures)
        print(f"{name:>24}: preference {found.mean:.4f} [{found.low:.4f}, {found.high:.4f}] nats")
    print(device_text())
    finish("magic", targets)


def prepared(options: argparse.Namespace) -> Problem:
    """Read the data, and the states of titles, which are kept in ``work``."""
    options.work.mkdir(parents=True, exist_ok=True)
    folder = options.work / f"{options.data.name}-leave-one-out"
    if not (folder / "dataset.json").is_file():
        interactions, items = (
            options.data / f"{name}.csv.gz" for name in ("interactions", "items")
        )
        ingest(
            interactions,
            items=items,
            out=folder,
            options=DataOptions(split=SplitMethod.LEAVE_ONE_OUT),
        )
    dataset = Dataset.load(folder)
    loaded = load_language_model("smollm2-135m", dtype="float32", device="cpu")
    states = catalogue_vectors(loaded, dataset.titles.to_pylist(), folder=options.work / "titles")
    states = states - states.mean(0)
    states = states / states.norm(dim=1, keepdim=True).clamp(min=1e-6) * 3
    pool = build_samples(dataset)
    picked = np.random.default_rng(0).permutation(len(pool))[: options.pool]
    asked = validation_samples(dataset, options.users)
    assert asked is not None
    examples = Examples.of_samples(asked, dataset.n_items, _HISTORY, SampleLoss.LAST)
    whole = Asked(
        _histories(asked, np.arange(len(asked)), states),
        torch.from_numpy(draw_candidates(examples, _CANDIDATES, 0)),
    )
    return Problem(
        states,
        Samples(
            _histories(pool, picked, states),
            torch.from_numpy(pool.targets[picked].astype(np.int64)),
        ),
        whole.take(np.arange(0, len(asked), 2)),
        whole.take(np.arange(1, len(asked), 2)),
    )


def checked(problem: Problem, options: argparse.Namespace) -> float:
    """The relative error of the derivative along a random direction of the weights, in float64."""
    exact = Problem(
        problem.items.double(),
        Samples(problem.pool.histories.double(), problem.pool.targets),
        Asked(problem.design.histories.double(), problem.design.candidates),
        problem.test,
    )
    training = _training(exact, exact.pool, 100, options)
    weights = torch.ones(len(exact.pool.targets), dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    along = torch.randn(len(weights), generator=generator, dtype=torch.float64)

    def risk(state: State) -> torch.Tensor:
        return cross_entropies(exact.design.logits(state, exact.items), 1.0).mean()

    _, gradient = training.metagradient(weights, risk)
    low, high = (float(risk(training.run(weights + s * along)[-1])) for s in (-1e-6, 1e-6))
    found, expected = (high - low) / 2e-6, float(gradient @ along)
    return abs(found - expected) / abs(found)


def descended(
    problem: Problem, budget: int, options: argparse.Namespace
) -> tuple[npt.NDArray[np.bool_], list[float]]:
    """Exchange samples of a random coreset for those whose weight lowers the risk of design users.

    Returns the best coreset by these users, and their preference after each exchange.
    """
    n = len(problem.pool.targets)
    members = _members(n, np.random.default_rng(0).choice(n, budget, False))
    found: list[tuple[float, npt.NDArray[np.bool_]]] = []
    for round_ in range(options.exchanges + 1):
        gradient = torch.zeros(n)
        risks = []
        for seed in (100, 101):
            risk, by_weights = _training(problem, problem.pool, seed, options).metagradient(
                torch.from_numpy(members).float(), lambda state: _design_risk(state, problem)
            )
            gradient += by_weights
            risks.append(risk)
        found.append((_chance(problem.design) - float(np.mean(risks)), members.copy()))
        share = max(1, int(0.3 * budget * (1 - round_ / (options.exchanges + 1))))
        slopes = gradient.numpy()
        leaves = np.flatnonzero(members)[np.argsort(-slopes[members], kind="stable")[:share]]
        enters = np.flatnonzero(~members)[np.argsort(slopes[~members], kind="stable")[:share]]
        better = slopes[leaves] > slopes[enters]
        members[leaves[better]], members[enters[better]] = False, True
        print(json.dumps({"budget": budget, "round": round_, "design": round(found[-1][0], 4)}))
    return max(found, key=lambda one: one[0])[1], [one[0] for one in found]


def measured(
    problem: Problem, chosen: npt.NDArray[np.bool_], options: argparse.Namespace
) -> Floats:
    """[R, U] preference of the test users after trainings on [R, n] coresets, each with its own seed."""
    rows = []
    for seed, members in enumerate(chosen):
        places = torch.from_numpy(np.flatnonzero(members))
        coreset = Samples(problem.pool.histories[places], problem.pool.targets[places])
        training = _training(problem, coreset, seed, options)
        rows.append(_preference(training.run(torch.ones(len(places)))[-1], problem))
    return np.stack(rows)


def _training(
    problem: Problem, samples: Samples, seed: int, options: argparse.Namespace
) -> Training:
    return Training(problem.items, samples, options.epochs, _STEPS, options.learning_rate, seed)


def _design_risk(state: State, problem: Problem) -> torch.Tensor:
    logits = problem.design.logits(state, problem.items)
    return cross_entropies(logits, fitted_temperature(logits.detach())).mean()


def _preference(state: State, problem: Problem) -> Floats:
    """[U] ``log C − CE`` of the test users; the temperature of each half is fitted on the other."""
    with torch.no_grad():
        logits = problem.test.logits(state, problem.items)
        chance = (problem.test.candidates >= 0).sum(1).double().log()
        found = torch.empty(len(logits), dtype=torch.float64)
        halves = (slice(0, None, 2), slice(1, None, 2))
        for own, other in (halves, halves[::-1]):
            temperature = fitted_temperature(logits[other])
            found[own] = chance[own] - cross_entropies(logits[own].double(), temperature)
    return found.numpy()


def _chance(asked: Asked) -> float:
    return float((asked.candidates >= 0).sum(1).double().log().mean())


def _members(n: int, taken: Ints) -> npt.NDArray[np.bool_]:
    members = np.zeros(n, dtype=np.bool_)
    members[taken] = True
    return members


def _histories(samples: DataSamples, picked: Ints, states: torch.Tensor) -> torch.Tensor:
    """[k, h] means over the last items of each history."""
    return torch.stack(
        [states[samples.history(int(index), _HISTORY).astype(np.int64)].mean(0) for index in picked]
    )


if __name__ == "__main__":
    main()
