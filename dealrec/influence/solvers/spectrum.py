"""The ends of a curvature's spectrum, from products alone."""

from collections.abc import Callable

import torch
from torch import Tensor

from dealrec.influence.solvers.interface import Product

HELD = 1 << 27
"""Numbers of the basis that are held at once: 1 GiB."""


def extreme_eigenvalues(
    product: Product,
    like: Tensor,
    *,
    steps: int = 32,
    on_iteration: Callable[[], None] = lambda: None,
) -> tuple[float, float]:
    """Smallest and largest Ritz value after ``steps`` of Lanczos with full reorthogonalisation.

    The start is the same pseudo-random vector every time. The largest is sharp for the spectra met
    here (few large eigenvalues over many small ones); both lie within the spectrum. Where the basis
    would be too large to hold, there are fewer steps.
    """
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(len(like), generator=generator, dtype=torch.float64)
    vector = vector.to(like)
    steps = max(2, min(steps, len(like), HELD // len(like)))
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
