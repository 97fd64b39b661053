"""Estimates the ends of a curvature's spectrum from products alone."""

from collections.abc import Callable

import torch
from torch import Tensor

from dealrec.influence.solvers.interface import Product

_HELD = 1 << 27
"""The most numbers of the basis in memory, 1 GiB in float64."""
_STEPS = 32
_CONVERGED = 1e-5
"""The norm of the residual of the largest Ritz pair, relative to its value, at which the steps end."""


def extreme_eigenvalues(
    product: Product,
    like: Tensor,
    *,
    on_iteration: Callable[[], None] = lambda: None,
) -> tuple[float, float]:
    """Return the smallest and largest Ritz values of Lanczos with full reorthogonalisation.

    ``like`` [P] gives the size, the type and the device. The start is always the same pseudo-random
    vector. Both values lie within the spectrum. The steps end when the largest is within 1e-5 of an
    eigenvalue, relative to it: the norm of a Ritz pair's residual bounds this distance, and the distance
    is of the order of its square (Parlett, The Symmetric Eigenvalue Problem, 1998, sections 4.5 and 11.7).
    That takes few steps for the spectra of these curvatures (few large eigenvalues over many small ones).
    At most 32 are taken, and fewer if their basis does not fit into memory.
    """
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(len(like), generator=generator, dtype=torch.float64)
    vector = vector.to(like)
    steps = max(2, min(_STEPS, len(like), _HELD // len(like)))
    basis = vector.new_empty(steps + 1, len(like))
    basis[0] = vector / vector.norm()
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    for step in range(min(steps, len(like))):
        on_iteration()
        image = product(basis[step])
        diagonal.append(image @ basis[step])
        known = basis[: step + 1]
        for _ in range(2):
            image = image - known.T @ (known @ image)
        size = image.norm()
        if float(size) <= 1e-12 * max(1e-300, float(torch.stack(diagonal).abs().max())):
            break
        values, vectors = torch.linalg.eigh(_tridiagonal(diagonal, beside))
        if float(size * vectors[-1, -1].abs()) <= _CONVERGED * float(values[-1]):
            break
        beside.append(size)
        basis[step + 1] = image / size
    values = torch.linalg.eigvalsh(_tridiagonal(diagonal, beside))
    return float(values[0]), float(values[-1])


def _tridiagonal(diagonal: list[Tensor], beside: list[Tensor]) -> Tensor:
    """Make the [k, k] matrix of Lanczos from its ``k`` diagonal entries and those beside them."""
    matrix = torch.diag(torch.stack(diagonal))
    if len(diagonal) > 1:
        off = torch.stack(beside[: len(diagonal) - 1])
        matrix = matrix + torch.diag(off, 1) + torch.diag(off, -1)
    return matrix
