import pytest
import torch

from dealrec.influence.solvers.spectrum import extreme_eigenvalues
from tests.dealrec.influence.solvers.systems import matrix


@pytest.mark.parametrize("values", [[-2.0, 0, 1, 7], [3.0], [0.0, 0, 0], [1.0, 1, 1, 1]])
def test_the_ends_of_the_spectrum_are_found(values):
    a = matrix(values)
    least, largest = extreme_eigenvalues(lambda x: a @ x, torch.zeros(len(values)).double())
    assert least == pytest.approx(min(values), abs=1e-9)
    assert largest == pytest.approx(max(values), abs=1e-9)


def test_the_steps_end_when_the_largest_eigenvalue_is_known():
    a = matrix([0.8**n for n in range(200)])
    seen = []

    def product(x):
        seen.append(1)
        return a @ x

    assert extreme_eigenvalues(product, torch.zeros(200).double())[1] == pytest.approx(1, abs=1e-8)
    assert len(seen) < 24
