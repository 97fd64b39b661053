"""The direct solver with the dense matrix in float64, a reference for small parameter sets."""

from collections.abc import Callable

import torch

from dealrec.errors import FieldError, InputError
from dealrec.influence.solvers.interface import Solution, System

MAX_PARAMETERS = 8192
"""The largest parameter set; its matrix takes 512 MiB."""


def require_exact(parameters: int) -> None:
    """Check that the matrix of so many parameters fits into memory.

    Raises:
        InputError: ``parameter_set_too_large`` if it does not.
    """
    if parameters > MAX_PARAMETERS:
        raise InputError(
            f"The parameter set has {parameters:,} parameters, but `exact` needs a dense matrix and "
            f"allows at most {MAX_PARAMETERS:,}. Use the solver `cg`, or a smaller parameter set.",
            code="parameter_set_too_large",
            errors=[
                FieldError(
                    "config.influence.solver",
                    "is too small-scale for these parameters; `cg` has no limit",
                )
            ],
        )


def exact(
    system: System, *, tolerance: float, on_iteration: Callable[[], None] = lambda: None
) -> Solution:
    """Solve the system by Cholesky, or by LU if ``H + δI`` is not positive definite.

    Raises:
        InputError: ``parameter_set_too_large`` if the matrix does not fit into memory.
    """
    require_exact(len(system.v))
    on_iteration()
    matrix = system.matrix()
    on_iteration()
    factor, failed = torch.linalg.cholesky_ex(matrix)
    negative = bool(failed)
    if negative:
        u = torch.linalg.solve(matrix, system.v)
    else:
        u = torch.cholesky_solve(system.v[:, None], factor).squeeze(1)
    # The residual uses the matrix, because products would add the rounding of the model's precision.
    norm = float(system.v.norm())
    residual = float((matrix @ u - system.v).norm()) / norm if norm else 0.0
    return Solution(u, residual, 1, residual <= tolerance, negative)
