import pytest
import torch

from dealrec.influence.solvers.cg import conjugate_gradient
from tests.dealrec.influence.solvers.systems import matrix, system


def test_it_solves_to_the_tolerance_and_reports_the_true_residual():
    a = matrix([0.1, 0.5, 1, 2, 3, 10])
    v = torch.arange(1.0, 7, dtype=torch.float64)
    found = conjugate_gradient(system(a, v=v), tolerance=1e-9, max_iterations=50)
    assert found.converged
    assert found.iterations <= 7
    assert found.residual == pytest.approx(float((a @ found.vector - v).norm() / v.norm()))
    torch.testing.assert_close(found.vector, torch.linalg.solve(a, v), rtol=1e-7, atol=1e-9)


def test_too_few_iterations_are_said_to_be_too_few():
    a = matrix([1e-4, 0.1, 1, 5, 9, 100])
    v = torch.ones(6, dtype=torch.float64)
    found = conjugate_gradient(system(a, v=v), tolerance=1e-8, max_iterations=2)
    assert not found.converged
    assert found.iterations == 2
    assert found.residual > 1e-8


def test_negative_curvature_is_noticed():
    a = matrix([-1.0, 0.5, 1, 2])
    v = torch.ones(4, dtype=torch.float64)
    found = conjugate_gradient(system(a, v=v), tolerance=1e-8, max_iterations=50)
    assert found.negative_curvature
    assert not found.converged


def test_a_zero_gradient_has_the_zero_solution():
    v = torch.zeros(3, dtype=torch.float64)
    found = conjugate_gradient(system(torch.eye(3).double(), v=v), tolerance=1e-8, max_iterations=5)
    assert found.converged
    assert found.vector.tolist() == [0, 0, 0]
