"""How exact, how stable and how fast are influence scores?

``python -m benchmarks.influence --data FOLDER [--surrogates M]`` with ``interactions.csv.gz`` and
``items.csv.gz``. Trains M surrogates (default 4) for the agreement between seeds.
"""

import argparse
import copy
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks._influence_reference import one_by_one, plain_forward
from benchmarks._report import Target, finish, timed
from dealrec.config import (
    Curvature,
    InfluenceConfig,
    InfluenceParameters,
    SampleLoss,
    SurrogateConfig,
)
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.data.ingest import ingest
from dealrec.data.samples import Samples, build_samples
from dealrec.influence.averaging import average
from dealrec.influence.examples import Examples
from dealrec.influence.factors import make_problem
from dealrec.influence.problem import AutogradProblem
from dealrec.influence.scoring import score_influence
from dealrec.influence.solvers.cg import conjugate_gradient
from dealrec.influence.solvers.exact import exact
from dealrec.influence.solvers.interface import ProductOperator, System
from dealrec.influence.solvers.spectrum import extreme_eigenvalues
from dealrec.metrics.correlation import spearman
from dealrec.runtime import apply_runtime
from dealrec.surrogates.interface import Surrogate
from dealrec.surrogates.storage import TrainedSurrogate
from dealrec.surrogates.training import train_surrogate

ATTENTION = InfluenceParameters.ATTENTION_OUTPUT
ONE_BY_ONE = 400
"""Samples of the one-by-one loop, spread evenly; its time a sample stands for all."""
GENERAL = 4096
"""Samples of the general forward-mode pass."""
REPEATS = 3
"""Times that the loop and each pass are timed; their median counts."""


def main() -> None:
    """Print progress, a table, and the targets as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--surrogates", type=int, default=4)
    options = parser.parse_args()
    apply_runtime(Runtime().on_one_thread())
    with tempfile.TemporaryDirectory(prefix="dealrec-bench-") as name:
        data, items = options.data / "interactions.csv.gz", options.data / "items.csv.gz"
        dataset = ingest(data, items=items, out=Path(name)).dataset
    samples = build_samples(dataset)
    surrogate = _trained(dataset, 0)
    targets = [
        *_stage(dataset, samples, surrogate),
        *_exactness(dataset, samples, surrogate),
        *_passes(dataset, samples, surrogate),
        *_sets(dataset, samples, surrogate),
        *_seeds(dataset, samples, surrogate, options.surrogates),
    ]
    finish("influence", targets)


def _trained(dataset: Dataset, seed: int) -> TrainedSurrogate:
    with timed() as watch:
        surrogate = train_surrogate(dataset, SurrogateConfig(seed=seed))
    print(f"surrogate of seed {seed}: {watch.seconds:.0f} s", flush=True)
    return surrogate


def _stage(dataset: Dataset, samples: Samples, surrogate: TrainedSurrogate) -> list[Target]:
    """The default stage; again with other seeds; with all samples in the curvature."""
    with timed() as watch:
        found = score_influence(dataset, samples, surrogate, InfluenceConfig())
    print(f"the default stage: {watch.seconds:.1f} s, {found.diagnostics}", flush=True)
    torch.manual_seed(1)
    again = score_influence(dataset, samples, surrogate, InfluenceConfig(seed=1))
    everything = InfluenceConfig(curvature_tokens=len(samples))
    full = score_influence(dataset, samples, surrogate, everything)
    return [
        _at_most("the default stage, seconds", 20, watch.seconds),
        _at_least("same checkpoint, other seed: Spearman", 0.99, _rank(found.scores, again.scores)),
        Target(
            f"curvature on {InfluenceConfig().curvature_tokens} tokens against all: Spearman",
            "-",
            _rank(found.scores, full.scores),
            None,
        ),
    ]


def _exactness(dataset: Dataset, samples: Samples, surrogate: TrainedSurrogate) -> list[Target]:
    """``cg`` against the dense matrix at several dampings; the use of a preconditioner."""
    config = InfluenceConfig()
    model = copy.deepcopy(surrogate.model).eval()
    problem = make_problem(model, ATTENTION)
    training = Examples.of_samples(samples, dataset.n_items, model.max_length, SampleLoss.LAST)
    validation = Examples.of_validation(dataset, model.max_length, SampleLoss.LAST)
    v = problem.gradient(validation, _nothing)
    curved = training.evenly(config.curvature_tokens)
    operator = problem.curvature(curved, Curvature.GAUSS_NEWTON, _nothing)
    _, largest = extreme_eigenvalues(operator, v)
    targets = []
    for damping in (1e-2, 1e-3):
        system = System((operator,), (1.0,), damping * largest, v)
        tolerance = min(config.tolerance, damping * 1e-4)
        with timed() as dense:
            truth = exact(system, tolerance=1e-9).vector
        with timed() as iterated:
            solved = conjugate_gradient(system, tolerance=tolerance, max_iterations=2000)
        print(
            f"damping {damping}: exact {dense.seconds:.1f} s, cg {iterated.seconds:.2f} s, "
            f"{solved.iterations} iterations, {_jacobi(system, tolerance)} with a diagonal "
            "preconditioner",
            flush=True,
        )
        error = float((solved.vector - truth).norm() / truth.norm())
        ranks = [
            problem.derivatives(training, u, _nothing)[0].numpy() for u in (truth, solved.vector)
        ]
        targets += [
            _at_most(f"cg against exact, damping {damping}: error of u", 1e-4, error),
            _at_least(f"cg against exact, damping {damping}: Spearman", 0.9999, _rank(*ranks)),
        ]
    return targets


def _jacobi(system: System, tolerance: float) -> int:
    """Iterations of conjugate gradient on ``D^-½ (H + δI) D^-½`` with ``D`` the diagonal."""
    root = system.matrix().diagonal().rsqrt()
    scaled = ProductOperator(lambda x: root * system(root * x), len(root), root.device)
    preconditioned = System((scaled,), (1.0,), 0.0, root * system.v)
    return conjugate_gradient(preconditioned, tolerance=tolerance, max_iterations=2000).iterations


def _passes(dataset: Dataset, samples: Samples, surrogate: TrainedSurrogate) -> list[Target]:
    """Scores from batches against one-by-one gradients: the same numbers, and their cost."""
    model = copy.deepcopy(surrogate.model).eval()
    training = Examples.of_samples(samples, dataset.n_items, model.max_length, SampleLoss.LAST)
    some = training.take(np.arange(ONE_BY_ONE) * len(training) // ONE_BY_ONE)
    size = AutogradProblem(model, ATTENTION).size
    u = torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exactly = copy.deepcopy(model).double()
    names = list(model.parameter_sets()[ATTENTION])
    expected = torch.stack([g @ u for g in one_by_one(copy.deepcopy(exactly), names, some)])
    found, _ = make_problem(exactly, ATTENTION).derivatives(some, u, _nothing)
    error = float(((found - expected) / expected).abs().max())
    loop, batched, forward, general, below = _times(model, names, training, some, u)
    print(
        f"all samples: forward {forward:.1f} s, batched {batched:.1f} s, "
        f"one by one {loop:.0f} s (from {ONE_BY_ONE})",
        flush=True,
    )
    return [
        _at_most("batched against one-by-one, largest relative error", 1e-5, error),
        _at_most("batched pass / plain forward pass", 2.5, batched / forward),
        _at_most("the same in forward mode, any parameter set", 2.5, general / below),
        _at_least("one-by-one loop / batched pass", 20, loop / batched),
    ]


def _times(
    model: Surrogate,
    names: list[str],
    training: Examples,
    some: Examples,
    u: Tensor,
) -> tuple[float, float, float, float, float]:
    """Seconds: the loop and the batched pass and the forward pass over all; jvp and forward on some."""
    factored = make_problem(model, ATTENTION)
    general = AutogradProblem(model, ATTENTION)

    def loop() -> None:
        for gradient in one_by_one(copy.deepcopy(model), names, some):
            gradient @ u.to(gradient.dtype)

    part = training.evenly(GENERAL)
    every = _median_seconds(loop) / len(some) * len(training)
    found = []
    for examples, problem in ((training, factored), (part, general)):
        batches = list(examples.batches(torch.float32, torch.device("cpu")))
        found.append(_median_seconds(partial(problem.derivatives, examples, u, _nothing)))
        found.append(_median_seconds(partial(plain_forward, model, batches)))
    batched, forward, of_part, below = found
    return every, batched, forward, of_part, below


def _median_seconds(work: Callable[[], object]) -> float:
    """The median of :data:`REPEATS` runs, after one that warms up."""
    work()
    seconds = []
    for _ in range(REPEATS):
        with timed() as watch:
            work()
        seconds.append(watch.seconds)
    return statistics.median(seconds)


def _sets(dataset: Dataset, samples: Samples, surrogate: TrainedSurrogate) -> list[Target]:
    """Seconds of the stage with every parameter set, curvature on 1,024 tokens."""
    targets = []
    for parameters in InfluenceParameters:
        config = InfluenceConfig(parameters=parameters, curvature_tokens=1024)
        with timed() as watch:
            found = score_influence(dataset, samples, surrogate, config)
        solved = {name: found.diagnostics[name] for name in ("iterations", "residual", "converged")}
        print(f"{parameters}: {watch.seconds:.0f} s, {solved}", flush=True)
        targets.append(Target(f"stage with {parameters}, seconds", "-", watch.seconds, None))
    return targets


def _seeds(dataset: Dataset, samples: Samples, first: TrainedSurrogate, count: int) -> list[Target]:
    """Agreement between surrogates of other seeds: alone, and averaged over halves of them."""
    surrogates = [first, *(_trained(dataset, seed) for seed in range(1, count))]
    scores = [score_influence(dataset, samples, one, InfluenceConfig()) for one in surrogates]
    alone = [_rank(a.scores, b.scores) for a, b in combinations(scores, 2)]
    targets = []
    if alone:
        targets.append(Target("surrogate seeds, alone: Spearman", "-", float(np.mean(alone)), None))
    if count >= 4:
        half = count // 2
        halves = average(scores[:half]).scores, average(scores[half : 2 * half]).scores
        name = f"surrogate seeds, averaged over {half}: Spearman"
        targets.append(Target(name, "-", _rank(*halves), None))
    return targets


def _rank(a: "np.ndarray[tuple[int], np.dtype[np.float64]]", b: object) -> float:
    found = spearman(a, np.asarray(b))
    assert found is not None
    return found


def _nothing(_examples: int) -> None:
    pass


def _at_most(name: str, limit: float, measured: float) -> Target:
    return Target(name, f"<= {limit:g}", measured, measured <= limit)


def _at_least(name: str, limit: float, measured: float) -> Target:
    return Target(name, f">= {limit:g}", measured, measured >= limit)


if __name__ == "__main__":
    main()
