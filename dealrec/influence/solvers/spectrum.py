"""The ends of a curvature's spectrum, from products alone."""

from collections.abc import Callable

import torch
from torch import Tensor

from dealrec.influence.solvers.interface import Product


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
