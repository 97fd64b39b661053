"""What a solver is given, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Product = Callable[[Tensor], Tensor]
"""[P] → [P], a symmetric linear map."""


class Operator(Protocol):
    """A curvature: its product with a vector, and all of it."""

    def __call__(self, vector: Tensor) -> Tensor:
        """[P] float64 → [P] float64."""

    def matrix(self) -> Tensor:
        """[P, P] float64; only for parameter sets small enough to hold it."""


@dataclass(frozen=True)
class ProductOperator:
    """An operator that is known by its products alone."""

    product: Product
    size: int
    device: torch.device

    def __call__(self, vector: Tensor) -> Tensor:
        return self.product(vector)

    def matrix(self) -> Tensor:
        """[P, P], a column a product; made symmetric, as it is but for rounding."""
        found = torch.empty(self.size, self.size, dtype=torch.float64, device=self.device)
        unit = torch.zeros(self.size, dtype=torch.float64, device=self.device)
        for column in range(self.size):
            unit[column] = 1.0
            found[:, column] = self.product(unit)
            unit[column] = 0.0
        return (found + found.T) / 2


@dataclass(frozen=True)
class System:
    """``(H + δI) u = v`` with ``H`` the mean over parts: ``H = Σ w_k H_k``, ``Σ w_k = 1``."""

    parts: tuple[Operator, ...]
    """The curvature on disjoint parts of the curvature examples; one part is all of them."""
    weights: tuple[float, ...]
    """Each part's share of the examples."""
    damping: float
    """δ, absolute."""
    v: Tensor
    """[P] float64."""
    largest: float | None = None
    """A bound to all parts' eigenvalues, where it is known from other work (a Ritz value)."""

    def __call__(self, vector: Tensor) -> Tensor:
        """``(H + δI) vector``."""
        total = self.damping * vector
        for part, weight in zip(self.parts, self.weights, strict=True):
            total = total + weight * part(vector)
        return total

    def matrix(self) -> Tensor:
        """[P, P] float64 ``H + δI``."""
        size = len(self.v)
        total = self.damping * torch.eye(size, dtype=torch.float64, device=self.v.device)
        for part, weight in zip(self.parts, self.weights, strict=True):
            total += weight * part.matrix()
        return total

    def residual(self, u: Tensor) -> float:
        """``‖(H + δI) u − v‖ / ‖v‖`` from the definition; 0 where ``v`` is 0."""
        norm = float(self.v.norm())
        return float((self(u) - self.v).norm()) / norm if norm else 0.0


@dataclass(frozen=True)
class Solution:
    """What a solver found, and how well."""

    vector: Tensor
    """[P] float64, ``u``."""
    residual: float
    """``‖(H + δI) u − v‖ / ‖v‖``, computed from the definition at the end."""
    iterations: int
    """Products with the curvature (or a part of it) that the solver stepped through."""
    converged: bool
    """Whether ``residual`` is within the tolerance."""
    negative_curvature: bool
    """Whether ``H + δI`` was seen not to be positive definite. Of ``cg``, ``u`` is then the iterate
    before; ``exact`` has solved it all the same."""
