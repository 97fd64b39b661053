"""Continues the training of the measured parameters alone, to the point where influence is defined.

Influence is the first-order change of a minimum. A surrogate that stopped early, with dropout and a
sampled loss, is at none. From the trained parameters ``θ₀`` these steps approach the minimum of
``R(θ) + δ/2 ‖θ − θ₀‖²``, whose curvature ``H + δI`` is the one that influence solves with.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from dealrec.influence.problem import Problem
from dealrec.influence.solvers.cg import conjugate_gradient
from dealrec.influence.solvers.interface import System

SMALL = 0.05
"""The length of a step, relative to the way from the trained parameters, that is no longer taken."""
_SOLVE_TOLERANCE, _SOLVE_ITERATIONS = 0.05, 200
_SHORTEST = 1 / 1024
"""The smallest part of a Newton step that is tried."""
_OVERSHOOT = 0.1
"""How far the slope may rise at the end of a step, in parts of the slope at its beginning."""


@dataclass(frozen=True)
class Point:
    """Values of the measured parameters, and what Newton steps need to know there."""

    problem: Problem
    curvature: System
    """The curvature of the risk; damping and right-hand side are not read."""
    gradient: Callable[[], Tensor]
    """Computes the gradient of the training risk, [P] float64, or returns what was computed before."""


Reached = TypeVar("Reached", bound=Point)


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
    plain: Callable[[Problem], Point],
    measured: Callable[[Problem], Reached],
    *,
    steps: int,
    damping: float,
    beat: Callable[[], None],
) -> tuple[Reached, Continuation]:
    """Take at most ``steps`` damped Newton steps, and return what is measured at their end.

    Each step solves ``(H + δI) s = g`` by conjugate gradient, with the gradient ``g`` over all training
    samples. It is halved until the risk no longer rises along it at its end, which for a convex risk
    means that the risk fell. The steps end early where the next one is short (:data:`SMALL`) or no part of
    it helps.

    Args:
        problem: The problem at the trained parameters.
        plain: Computes what steps need at a point.
        measured: Computes what is returned, and what steps need. It is called at the end of every whole
            step, because a pass over the samples gives it and the gradient together.
        steps: The largest number of steps.
        damping: The absolute δ.
        beat: Called after every iteration of a solve.
    """
    origin = values = problem.values()
    at, reached, taken = plain(problem), None, 0
    slope = at.gradient()
    first = norm = float(slope.norm())
    while taken < steps:
        step = conjugate_gradient(
            dataclasses.replace(at.curvature, damping=damping, v=slope),
            tolerance=_SOLVE_TOLERANCE,
            max_iterations=_SOLVE_ITERATIONS,
            on_iteration=beat,
        ).vector
        if float(step.norm()) <= SMALL * float((values - origin).norm()):
            break
        size, slope_before = 1.0, float(slope @ step)
        while size >= _SHORTEST:
            further = values - size * step
            ended = at.problem.at(further)
            whole = measured(ended) if size == 1.0 else None
            tried = whole or plain(ended)
            after = tried.gradient() + damping * (further - origin)
            # The slope against the direction of the step; negative where the step went too far.
            if float(after @ step) >= -_OVERSHOOT * slope_before:
                break
            size /= 2
        else:
            break
        at, reached = tried, whole
        values, slope, norm = further, after, float(after.norm())
        taken += 1
    return reached or measured(at.problem), Continuation(taken, first, norm)
