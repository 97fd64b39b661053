"""Solves a system by the solver that a configuration names."""

from collections.abc import Callable

from dealrec.config import InfluenceConfig, Solver
from dealrec.influence.solvers.cg import conjugate_gradient
from dealrec.influence.solvers.exact import exact
from dealrec.influence.solvers.interface import Solution, System
from dealrec.influence.solvers.lissa import lissa

_CG_ITERATIONS = 200
_LISSA_ITERATIONS = 20_000


def solve(system: System, config: InfluenceConfig, on_iteration: Callable[[], None]) -> Solution:
    """Solve the system by ``config.solver``; the errors are those of the solver."""
    match config.solver:
        case Solver.EXACT:
            return exact(system, tolerance=config.tolerance, on_iteration=on_iteration)
        case Solver.CG:
            return conjugate_gradient(
                system,
                tolerance=config.tolerance,
                max_iterations=config.max_iterations or _CG_ITERATIONS,
                on_iteration=on_iteration,
            )
        case Solver.LISSA:
            return lissa(
                system,
                tolerance=config.tolerance,
                max_iterations=config.max_iterations or _LISSA_ITERATIONS,
                seed=config.seed,
                on_iteration=on_iteration,
            )
