import dataclasses
from functools import partial

import pytest
import torch

from dealrec.errors import DealrecError
from dealrec.influence.solvers.lissa import lissa
from tests.dealrec.influence.solvers.systems import matrix, system

V = torch.arange(1.0, 6, dtype=torch.float64)


@pytest.mark.parametrize("damping", [0.1, 1.0])
def test_it_solves_for_the_damping_that_was_asked_for(damping):
    """Not for damping times scale, which a recursion that damps before it divides ends at."""
    a = matrix([0.0, 0.2, 1, 3, 10])
    dense = a + damping * torch.eye(5, dtype=torch.float64)
    found = lissa(system(a, v=V, damping=damping), tolerance=1e-8, max_iterations=20_000, seed=0)
    assert found.converged
    torch.testing.assert_close(found.vector, torch.linalg.solve(dense, V), rtol=1e-6, atol=1e-8)


def test_one_that_did_not_get_there_says_so():
    a = matrix([0.0, 0.2, 1, 3, 10])
    found = lissa(system(a, v=V, damping=0.01), tolerance=1e-8, max_iterations=150, seed=0)
    assert not found.converged
    assert found.iterations == 150
    assert found.residual > 1e-8


def test_minibatches_end_near_the_solution_over_all_of_them():
    parts = [matrix([0.1, 0.5, 1, 2, 4], seed=seed) for seed in range(4)]
    weights = (0.4, 0.3, 0.2, 0.1)
    whole = system(*parts, v=V, damping=0.5, weights=weights)
    truth = torch.linalg.solve(whole.matrix(), V)
    found = lissa(whole, tolerance=1e-9, max_iterations=50_000, seed=3)
    assert float((found.vector - truth).norm() / truth.norm()) < 0.02
    assert found.residual == pytest.approx(whole.residual(found.vector))
    assert not found.converged  # noise keeps it from 1e-9, and it does not claim otherwise
    again = lissa(whole, tolerance=1e-9, max_iterations=50_000, seed=3)
    assert torch.equal(found.vector, again.vector)


def test_following_a_negative_eigenvalue_ends_in_an_error():
    a = matrix([-5.0, 1, 2, 3, 4])
    with pytest.raises(DealrecError) as caught:
        lissa(system(a, v=V), tolerance=1e-9, max_iterations=20_000, seed=0)
    assert caught.value.code == "solver_diverged"


def test_a_zero_gradient_has_the_zero_solution():
    v = torch.zeros(5, dtype=torch.float64)
    found = lissa(system(matrix([1.0, 1, 1, 1, 1]), v=v), tolerance=1e-8, max_iterations=5, seed=0)
    assert found.converged
    assert not found.vector.any()


def test_a_known_bound_spares_the_products_that_would_find_it():
    a = matrix([0.0, 0.2, 1, 3, 10])
    products = []
    found = []
    for largest in (None, 10.0):
        asked = dataclasses.replace(system(a, v=V, damping=1.0), largest=largest)
        count: list[None] = []
        found.append(
            lissa(
                asked,
                tolerance=1e-10,
                max_iterations=20_000,
                seed=0,
                on_iteration=partial(count.append, None),
            )
        )
        products.append(len(count))
    assert products[1] < products[0]
    torch.testing.assert_close(found[0].vector, found[1].vector, rtol=1e-8, atol=1e-8)


def test_over_one_part_it_stops_soon_after_it_is_there():
    a, v = matrix([0.0, 0.2, 1, 3, 10]), V
    for tolerance in (1e-3, 1e-6, 1e-9):
        asked = system(a, v=v, damping=0.3)
        found = lissa(asked, tolerance=tolerance, max_iterations=20_000, seed=0)
        before = lissa(asked, tolerance=0.0, max_iterations=found.iterations - 16, seed=0)
        assert found.residual <= tolerance < before.residual
