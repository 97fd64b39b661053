"""Small symmetric systems whose solution is known."""

from functools import partial

import torch

from dealrec.influence.solvers.interface import ProductOperator, System

CPU = torch.device("cpu")


def matrix(eigenvalues, seed=0):
    generator = torch.Generator().manual_seed(seed)
    size = len(eigenvalues)
    basis, _ = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))
    return basis @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ basis.T


def system(*parts, v, damping=0.0, weights=None):
    operators = tuple(ProductOperator(partial(torch.mv, a), len(a), CPU) for a in parts)
    weights = weights or tuple(1 / len(parts) for _ in parts)
    return System(operators, weights, damping, v)
