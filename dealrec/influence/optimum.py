"""Continues the training of the measured parameters alone, to the point where influence is defined.

Influence is the first-order change of a minimum. A surrogate that stopped early, with dropout and a
sampled loss, is at none. From the trained parameters ``θ₀`` these steps approach the minimum of
``R(θ) + δ/2 ‖θ − θ₀‖²``, whose curvature ``H + δI`` is the one that influence solves with.
"""

from dataclasses import dataclass

from torch import Tensor

from dealrec.config import InfluenceConfig
from dealrec.influence.examples import Examples
from dealrec.influence.problem import Problem, Tick
from dealrec.influence.solvers.cg import conjugate_gradient
from dealrec.influence.solvers.interface import System

SMALL = 0.05
"""The gradient's norm, relative to that at the trained parameters, at which the steps end."""
_SOLVE_TOLERANCE, _SOLVE_ITERATIONS = 0.05, 200
_SHORTEST = 1 / 1024
"""The smallest part of a Newton step that is tried."""
_OVERSHOOT = 0.1
"""How far the slope may rise at the end of a step, in parts of the slope at its beginning."""


@dataclass(frozen=True)
class Continuation:
    """The steps that were taken, and what is left of the gradient."""

    steps: int
    before: float
    """The norm of the damped risk's gradient at the trained parameters."""
    after: float
    """The same norm at the end."""


def continued(
    problem: Problem,
    training: Examples,
    curved: Examples,
    config: InfluenceConfig,
    damping: float,
    tick: Tick,
) -> tuple[Problem, Continuation]:
    """Take at most ``config.newton_steps`` damped Newton steps, and return the problem at their end.

    Each step solves ``(H + δI) s = g`` by conjugate gradient, with the gradient ``g`` over all
    ``training`` examples and the curvature of the ``curved`` ones. It is halved until the risk no
    longer rises along it at its end, which for a convex risk means that the risk fell. The steps end
    early where the gradient is small (:data:`SMALL`) or no part of a step helps. ``damping`` is the
    absolute δ.
    """
    start = problem.values()

    def slope(at: Problem, values: Tensor) -> Tensor:
        return at.gradient(training, tick) + damping * (values - start)

    values, gradient = start, slope(problem, start)
    first = norm = float(gradient.norm())
    steps = 0
    while steps < config.newton_steps and norm > SMALL * first:
        operator = problem.curvature(curved, config.curvature, tick)
        step = conjugate_gradient(
            System((operator,), (1.0,), damping, gradient),
            tolerance=_SOLVE_TOLERANCE,
            max_iterations=_SOLVE_ITERATIONS,
            on_iteration=lambda: tick(0),
        ).vector
        size, slope_before = 1.0, float(gradient @ step)
        while size >= _SHORTEST:
            further = values - size * step
            moved = problem.at(further)
            after = slope(moved, further)
            # The slope against the direction of the step; negative where the step went too far.
            if float(after @ step) >= -_OVERSHOOT * slope_before:
                break
            size /= 2
        else:
            break
        problem, values, gradient, norm = moved, further, after, float(after.norm())
        steps += 1
    return problem, Continuation(steps, first, norm)
