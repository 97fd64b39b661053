"""Predicts the losses of queries after training on half of the users.

Influence is linear, so the influence of a half is the sum over its samples. With ``G_h`` the sum of
the gradients of half ``h``, the loss of query ``q`` falls by ``∇L(q)ᵀ (H + δI)⁻¹ G_h``, up to a
factor. ``H`` is symmetric, so one solve per half serves every query, with any solver and any
parameter set.
"""

import copy
import dataclasses
from collections.abc import Callable

import numpy as np
import torch

from dealrec.config import InfluenceConfig, Solver
from dealrec.data.dataset import Dataset, Int64
from dealrec.data.samples import Samples
from dealrec.influence.examples import Examples
from dealrec.influence.factors import make_problem
from dealrec.influence.fidelity.halves import Bools
from dealrec.influence.fidelity.intervals import Floats
from dealrec.influence.optimum import Point, continued
from dealrec.influence.problem import Problem, no_tick
from dealrec.influence.solvers.interface import System
from dealrec.influence.solvers.solve import solve
from dealrec.influence.solvers.spectrum import extreme_eigenvalues
from dealrec.surrogates.interface import Surrogate


@dataclasses.dataclass(frozen=True)
class Predictor:
    """A way to predict losses, with its name in tables."""

    name: str
    config: InfluenceConfig
    curved: bool = True
    """Whether the curvature is used. Without it ``u = v``: the prediction is a gradient product."""
    absolute_damping: float | None = None
    """δ itself; ``None`` means ``config.damping`` times the largest eigenvalue."""


def predict(
    predictor: Predictor,
    surrogate: Surrogate,
    samples: Samples,
    members: Bools,
    queries: tuple[Examples, ...],
    tick: Callable[[], None],
) -> list[Floats]:
    """Compute [Q, H] predictions for each set of queries; a larger one means a lower loss.

    ``tick`` is called after each half.
    """
    config = predictor.config
    dtype = getattr(torch, config.dtype)
    model = copy.deepcopy(surrogate).to(dtype=dtype).eval()
    problem = make_problem(model, config.parameters)
    training = Examples.of_samples(samples, model.n_items, model.max_length, config.sample_loss)
    system = _system(predictor, problem, training) if predictor.curved else None
    if system is not None and config.newton_steps:
        problem, system = _continued(problem, system, training, config)
    found = [np.empty((len(examples), len(members))) for examples in queries]
    whole = problem.gradient(training, no_tick)
    for half, member in enumerate(members):
        picked = np.flatnonzero(member[samples.users])
        # The constant ``whole`` changes no rank over halves. Without it, the solver's accuracy goes
        # into the differences between halves.
        v = problem.gradient(training.take(picked), no_tick) - whole
        u = v
        if system is not None:
            u = solve(dataclasses.replace(system, v=v), config, lambda: None).vector
        for place, examples in enumerate(queries):
            found[place][:, half] = problem.derivatives(examples, u, no_tick)[0].cpu().numpy()
        tick()
    return found


def averaged(predictions: list[Floats]) -> Floats:
    """Average the predictions of several surrogates, each scaled to standard deviation 1."""
    mean: Floats = np.mean([one / (one.std() or 1.0) for one in predictions], axis=0)
    return mean


def _system(predictor: Predictor, problem: Problem, training: Examples) -> System:
    config = predictor.config
    operator = problem.curvature(
        training.evenly(config.curvature_tokens), config.curvature, no_tick
    )
    zero = torch.zeros(problem.size, dtype=torch.float64)
    damping, largest = predictor.absolute_damping, None
    if damping is None or config.solver is Solver.LISSA:
        _, largest = extreme_eigenvalues(operator, zero)
    if damping is None:
        damping = config.damping * max(largest or 0.0, torch.finfo(torch.float64).tiny)
    return System((operator,), (1.0,), damping, zero, largest)


def _continued(
    problem: Problem, system: System, training: Examples, config: InfluenceConfig
) -> tuple[Problem, System]:
    """Take the Newton steps that scoring takes, and return the problem and the system at their end."""
    curved = training.evenly(config.curvature_tokens)

    def point(at: Problem) -> Point:
        operator = at.curvature(curved, config.curvature, no_tick)
        curvature = dataclasses.replace(system, parts=(operator,), largest=None)
        return Point(at, curvature, lambda: at.gradient(training, no_tick))

    reached, _ = continued(
        problem,
        point,
        point,
        steps=config.newton_steps,
        damping=system.damping,
        beat=lambda: None,
    )
    return reached.problem, reached.curvature


def target_counts(dataset: Dataset, members: Bools, queries: Examples) -> Floats:
    """Count [Q, H] how often a half's users trained on the query's target: the naive predictor.

    ``dataset`` must hold training interactions alone.
    """
    users, targets = dataset.users(), queries.items[queries.ends]
    counts = np.stack(
        [np.bincount(dataset.items[half[users]], minlength=dataset.n_items) for half in members], 1
    )
    return counts[targets].astype(np.float64)


def spread_queries(examples: Examples, count: int, seed: int) -> Examples:
    """Draw ``count`` of the examples at random (all if there are fewer), in dense order."""
    if len(examples) <= count:
        return examples
    chosen: Int64 = np.random.default_rng(seed).permutation(len(examples))[:count]
    return examples.take(np.sort(chosen).astype(np.int64))
