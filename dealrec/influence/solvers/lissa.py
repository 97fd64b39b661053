"""LiSSA, the recursion that the DEALRec paper uses, with a scale under which it converges."""

from collections.abc import Callable

import torch

from dealrec.errors import DealrecError
from dealrec.influence.solvers.interface import Solution, System
from dealrec.influence.solvers.spectrum import extreme_eigenvalues

_MARGIN = 1.05
"""The scale over the largest Ritz value, which lies slightly below the largest eigenvalue."""
_FIRST_CHECK = 16
"""The iterations before the first check of the true residual.

With a single part this is also the number of iterations between checks. With several parts the number
of iterations doubles at each check, because the solution is the mean of the iterates since the last.
"""


def lissa(
    system: System,
    *,
    tolerance: float,
    max_iterations: int,
    seed: int,
    on_iteration: Callable[[], None] = lambda: None,
) -> Solution:
    """Solve the system by the Neumann recursion of Agarwal, Bullins and Hazan (2017).

    Each step ``x ← x + (v − (H_k + δI) x) / σ`` uses one part ``H_k`` of the data. If a single part is
    all of the data, the fixed point is ``(H + δI)⁻¹ v``; it does not depend on σ. The recursion
    contracts if ``σ`` exceeds every part's largest eigenvalue plus δ, and ``σ`` is chosen so. Each
    step multiplies the error by at most ``1 − δ/σ``, so a small damping needs thousands of steps.

    With several parts, each step draws one by its weight, so that the iterates' mean is unbiased, and
    ``u`` is the mean of the iterates since the last check, which averages the noise out. The solver
    stops when the true residual over all parts is within the tolerance. A solution that does not
    reach the tolerance is marked as not converged.

    Raises:
        DealrecError: ``solver_diverged`` if ``H + δI`` has a negative eigenvalue along which the
            iterates grew beyond the range of numbers.
    """
    v = system.v
    if float(v.norm()) == 0:
        return Solution(torch.zeros_like(v), 0.0, 0, converged=True, negative_curvature=False)
    largest = system.largest
    if largest is None:
        largest = max(
            extreme_eigenvalues(part, v, on_iteration=on_iteration)[1] for part in system.parts
        )
    scale = system.damping + _MARGIN * max(largest, 0.0)
    weights = torch.tensor(system.weights, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    x = u = v / scale
    iterations, check = 0, _FIRST_CHECK
    residual = system.residual(u)
    while residual > tolerance and iterations < max_iterations:
        until = min(check, max_iterations)
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
        check = until + _FIRST_CHECK if len(system.parts) == 1 else 2 * until
    return Solution(u, residual, iterations, residual <= tolerance, negative_curvature=False)
