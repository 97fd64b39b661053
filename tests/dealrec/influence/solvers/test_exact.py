import pytest
import torch

from dealrec.errors import InputError
from dealrec.influence.solvers.exact import MAX_PARAMETERS, exact
from tests.dealrec.influence.solvers.systems import matrix, system


def test_it_solves_to_rounding():
    a, b = matrix([0.1, 0.5, 1, 2]), matrix([1.0, 2, 3, 4], seed=1)
    v = torch.arange(1.0, 5, dtype=torch.float64)
    found = exact(system(a, b, v=v, damping=0.5, weights=(0.25, 0.75)), tolerance=1e-12)
    dense = 0.25 * a + 0.75 * b + 0.5 * torch.eye(4, dtype=torch.float64)
    torch.testing.assert_close(found.vector, torch.linalg.solve(dense, v), rtol=1e-12, atol=0)
    assert found.converged
    assert found.residual < 1e-14
    assert not found.negative_curvature


def test_an_indefinite_matrix_is_solved_and_said_to_be_indefinite():
    a = matrix([-1.0, 0.5, 1, 2])
    v = torch.ones(4, dtype=torch.float64)
    found = exact(system(a, v=v), tolerance=1e-10)
    assert found.negative_curvature
    torch.testing.assert_close(a @ found.vector, v, rtol=1e-10, atol=1e-12)


def test_a_set_too_large_for_a_dense_matrix_is_refused_before_anything_is_made():
    v = torch.zeros(MAX_PARAMETERS + 1, dtype=torch.float64)
    with pytest.raises(InputError) as caught:
        exact(system(v=v), tolerance=1e-5)
    assert caught.value.code == "parameter_set_too_large"
    assert "8,192" in str(caught.value)
