"""LiSSA: the recursion that the paper uses, with the scale it needs."""

from collections.abc import Callable

import torch

from dealrec.errors import DealrecError
from dealrec.influence.solvers.interface import Solution, System
from dealrec.influence.solvers.spectrum import extreme_eigenvalues

MARGIN = 1.05
"""Of the scale over the largest Ritz value, which lies a little below the largest eigenvalue."""
_FIRST_LOOK = 16
"""Iterations before the true residual is looked at, and between looks where one part is the whole.

With several parts each later look comes at twice the count, for the mean is over what is between.
"""


def lissa(
    system: System,
    *,
    tolerance: float,
    max_iterations: int,
    seed: int,
    on_iteration: Callable[[], None] = lambda: None,
) -> Solution:
    """The Neumann recursion of Agarwal, Bullins and Hazan (2017), each step on one part of the data.

    ``x ← x + (v − (H_k + δI) x) / σ`` has the fixed point ``(H + δI)⁻¹ v`` where one part ``H_k`` is
    the whole. It contracts where ``σ`` is above every part's largest eigenvalue plus δ, which is
    how ``σ`` is chosen; δ is inside what σ divides, so the solution does not depend on σ. The
    error falls by ``1 − δ/σ`` a step: thousands of steps for a small damping.

    With several parts, each step draws one by its weight, so that the iterates' mean is unbiased,
    and ``u`` is the mean of the iterates since the last look, in which the noise averages out. The
    work ends when the true residual, over all parts, is within the tolerance; one that does not get
    there says so.

    Raises:
        DealrecError: ``solver_diverged`` where ``H + δI`` has a negative eigenvalue and was followed
            along it until numbers ran out.
    """
    v = system.v
    if float(v.norm()) == 0:
        return Solution(torch.zeros_like(v), 0.0, 0, converged=True, negative_curvature=False)
    largest = system.largest
    if largest is None:
        largest = max(
            extreme_eigenvalues(part, v, on_iteration=on_iteration)[1] for part in system.parts
        )
    scale = system.damping + MARGIN * max(largest, 0.0)
    weights = torch.tensor(system.weights, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    x = u = v / scale
    iterations, look = 0, _FIRST_LOOK
    residual = system.residual(u)
    while residual > tolerance and iterations < max_iterations:
        until = min(look, max_iterations)
        drawn = torch.multinomial(weights, until - iterations, True, generator=generator)
        total = torch.zeros_like(v)
        for part in drawn.tolist():
            on_iteration()
            x = x + (v - system.parts[part](x) - system.damping * x) / scale
            total += x
        u = x if len(system.parts) == 1 else total / len(drawn)
        if not bool(torch.isfinite(u).all()):
            raise DealrecError(
                "LiSSA diverged: the damped curvature has a negative eigenvalue. Use the curvature "
                "`gauss_newton`, or a larger damping.",
                code="solver_diverged",
            )
        residual = system.residual(u)
        iterations = until
        look = until + _FIRST_LOOK if len(system.parts) == 1 else 2 * until
    return Solution(u, residual, iterations, residual <= tolerance, negative_curvature=False)
