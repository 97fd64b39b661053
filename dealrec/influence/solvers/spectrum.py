"""Estimates the ends of a curvature's spectrum from products alone."""

from collections.abc import Callable

import torch
from torch import Tensor

from dealrec.influence.solvers.interface import Product

_HELD = 1 << 27
"""The most numbers of the basis in memory, 1 GiB in float64."""
_STEPS = 32


def extreme_eigenvalues(
    product: Product,
    like: Tensor,
    *,
    on_iteration: Callable[[], None] = lambda: None,
) -> tuple[float, float]:
    """Return the smallest and largest Ritz values of Lanczos with full reorthogonalisation.

    ``like`` [P] gives the size, the type and the device. The start is always the same pseudo-random
    vector. Both values lie within the spectrum. The largest is accurate for the spectra of these
    curvatures (few large eigenvalues over many small ones). If the basis of 32 steps does not fit
    into memory, fewer steps are taken.
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
        beside.append(size)
        basis[step + 1] = image / size
    order = len(diagonal)
    matrix = torch.diag(torch.stack(diagonal))
    if order > 1:
        off = torch.stack(beside[: order - 1])
        matrix = matrix + torch.diag(off, 1) + torch.diag(off, -1)
    values = torch.linalg.eigvalsh(matrix)
    return float(values[0]), float(values[-1])
