"""Solving ``(H + δI) u = v`` and the ends of the spectrum of ``H``, from products alone."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Product = Callable[[Tensor], Tensor]
"""[P] → [P], a symmetric linear map."""


@dataclass(frozen=True)
class Solution:
    """What a solver found, and how well."""

    vector: Tensor
    """[P], ``u``."""
    residual: float
    """``‖Hu − v‖ / ‖v‖``, computed from the definition at the end (0 where ``v`` is 0)."""
    iterations: int
    converged: bool
    negative_curvature: bool
    """Whether a direction with ``pᵀHp ≤ 0`` ended the work: ``H`` is not positive definite, and
    ``u`` is the iterate before it."""


def conjugate_gradient(
    product: Product,
    v: Tensor,
    *,
    tolerance: float,
    max_iterations: int,
    on_iteration: Callable[[], None] = lambda: None,
) -> Solution:
    """Conjugate gradient (Hestenes and Stiefel, 1952) for ``Hu = v``; ``product`` has the damping in it.

    The recursive residual decides when to look, the true one whether it has converged.
    """
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
        image = product(direction)
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
    true_residual = float((product(u) - v).norm()) / norm
    converged = not negative and true_residual <= tolerance
    return Solution(u, true_residual, iterations, converged, negative)


def extreme_eigenvalues(
    product: Product,
    like: Tensor,
    *,
    steps: int = 32,
    on_iteration: Callable[[], None] = lambda: None,
) -> tuple[float, float]:
    """Smallest and largest Ritz value after ``steps`` of Lanczos with full reorthogonalisation.

    The start is the same pseudo-random vector every time. The largest is sharp for the spectra met
    here (few large eigenvalues over many small ones); both lie within the spectrum.
    """
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(len(like), generator=generator, dtype=torch.float64)
    vector = vector.to(like)
    basis = [vector / vector.norm()]
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    for _ in range(min(steps, len(like))):
        on_iteration()
        image = product(basis[-1])
        diagonal.append(image @ basis[-1])
        known = torch.stack(basis)
        for _ in range(2):
            image = image - known.T @ (known @ image)
        size = image.norm()
        if float(size) <= 1e-12 * max(1e-300, float(torch.stack(diagonal).abs().max())):
            break
        beside.append(size)
        basis.append(image / size)
    order = len(diagonal)
    matrix = torch.diag(torch.stack(diagonal))
    if order > 1:
        off = torch.stack(beside[: order - 1])
        matrix = matrix + torch.diag(off, 1) + torch.diag(off, -1)
    values = torch.linalg.eigvalsh(matrix)
    return float(values[0]), float(values[-1])
