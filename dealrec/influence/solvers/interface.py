"""The input and the output of a solver."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Product = Callable[[Tensor], Tensor]
"""A symmetric linear map from [P] to [P]."""


class Operator(Protocol):
    """A curvature, as products with vectors and as a matrix."""

    def __call__(self, vector: Tensor) -> Tensor:
        """Map a vector [P] float64 to its product [P] float64."""

    def matrix(self) -> Tensor:
        """Compute the matrix [P, P] float64, for parameter sets whose matrix fits into memory."""


@dataclass(frozen=True)
class ProductOperator:
    """An operator that is given by its products alone."""

    product: Product
    size: int
    device: torch.device

    def __call__(self, vector: Tensor) -> Tensor:
        return self.product(vector)

    def matrix(self) -> Tensor:
        """Compute the matrix [P, P] by one product per column; rounding errors are made symmetric."""
        found = torch.empty(self.size, self.size, dtype=torch.float64, device=self.device)
        unit = torch.zeros(self.size, dtype=torch.float64, device=self.device)
        for column in range(self.size):
            unit[column] = 1.0
            found[:, column] = self.product(unit)
            unit[column] = 0.0
        return (found + found.T) / 2


@dataclass(frozen=True)
class System:
    """The system ``(H + δI) u = v`` with ``H`` the mean over parts: ``H = Σ w_k H_k``, ``Σ w_k = 1``."""

    parts: tuple[Operator, ...]
    """The curvatures on disjoint parts of the curvature examples; a single part holds all of them."""
    weights: tuple[float, ...]
    """Each part's share of the examples."""
    damping: float
    """The absolute damping δ."""
    v: Tensor
    """[P] float64 the right-hand side."""
    largest: float | None = None
    """A Ritz value that bounds the eigenvalues of all parts, if one was computed before."""

    def __call__(self, vector: Tensor) -> Tensor:
        """Compute ``(H + δI) vector``."""
        total = self.damping * vector
        for part, weight in zip(self.parts, self.weights, strict=True):
            total = total + weight * part(vector)
        return total

    def matrix(self) -> Tensor:
        """Compute ``H + δI``, [P, P] float64."""
        size = len(self.v)
        total = self.damping * torch.eye(size, dtype=torch.float64, device=self.v.device)
        for part, weight in zip(self.parts, self.weights, strict=True):
            total += weight * part.matrix()
        return total

    def residual(self, u: Tensor) -> float:
        """Compute ``‖(H + δI) u − v‖ / ‖v‖`` from the definition; 0 if ``v`` is 0."""
        norm = float(self.v.norm())
        return float((self(u) - self.v).norm()) / norm if norm else 0.0


@dataclass(frozen=True)
class Solution:
    """The solution of a system, with its accuracy."""

    vector: Tensor
    """[P] float64 the solution ``u``."""
    residual: float
    """``‖(H + δI) u − v‖ / ‖v‖``, computed from the definition at the end."""
    iterations: int
    """The number of the solver's products with the curvature or with a part of it."""
    converged: bool
    """Whether ``residual`` is within the tolerance."""
    negative_curvature: bool
    """Whether ``H + δI`` turned out not to be positive definite. ``cg`` then returns the iterate
    before; ``exact`` still solves the system."""
