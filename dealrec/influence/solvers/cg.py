"""The conjugate gradient method, which needs no matrix and suits parameter sets of any size."""

from collections.abc import Callable

import torch

from dealrec.influence.solvers.interface import Solution, System


def conjugate_gradient(
    system: System,
    *,
    tolerance: float,
    max_iterations: int,
    on_iteration: Callable[[], None] = lambda: None,
) -> Solution:
    """Solve the system by conjugate gradient (Hestenes and Stiefel, 1952).

    The recursive residual decides when to stop; the true residual decides whether the solution has
    converged. If ``H + δI`` is indefinite, the solver stops at the first direction ``p`` with
    ``pᵀ(H + δI)p ≤ 0``.

    There is no preconditioner. With δ relative to the largest eigenvalue the condition number is at
    most ``1 + 1/δ``, and the diagonal of these curvatures does not lower the number of iterations
    (``benchmarks/influence.py`` counts both).
    """
    v = system.v
    norm = float(v.norm())
    u = torch.zeros_like(v)
    if norm == 0:
        return Solution(u, 0.0, 0, converged=True, negative_curvature=False)
    residual = v.clone()
    direction = v.clone()
    square = residual @ residual
    iterations, negative = 0, False
    while iterations < max_iterations and float(square) > (0.5 * tolerance * norm) ** 2:
        on_iteration()
        image = system(direction)
        bend = direction @ image
        if float(bend) <= 0:
            negative = True
            break
        step = square / bend
        u = u + step * direction
        residual = residual - step * image
        smaller = residual @ residual
        direction = residual + (smaller / square) * direction
        square = smaller
        iterations += 1
    true_residual = system.residual(u)
    converged = not negative and true_residual <= tolerance
    return Solution(u, true_residual, iterations, converged, negative)
