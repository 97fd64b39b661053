"""Products with a sparse matrix are those of the dense one, derivatives included."""

import numpy as np
import scipy.sparse
import torch
from torch.func import grad, hessian, jvp

from dealrec.surrogates.sparse import SparseMatrix

DENSE = torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0], [0.0, 0.0, 0.0], [0.5, 0.0, 0.0]])


def kept():
    matrix = SparseMatrix(0, 3)
    matrix.keep(scipy.sparse.csr_array(DENSE.numpy().astype(np.float32)))
    return matrix.double()


def test_products_are_those_of_the_dense_matrix_and_of_its_transpose():
    matrix, x = kept(), torch.randn(3, 5, dtype=torch.float64)
    y = torch.randn(4, 5, dtype=torch.float64)
    torch.testing.assert_close(matrix(x), DENSE.double() @ x)
    torch.testing.assert_close(matrix.backwards(y), DENSE.double().T @ y)


def test_derivatives_are_those_of_the_dense_matrix_in_both_modes_and_at_second_order():
    matrix, x = kept(), torch.randn(3, 2, dtype=torch.float64)
    along = torch.randn(3, 2, dtype=torch.float64)

    def own(values):
        return (matrix.backwards(torch.tanh(matrix(values))) ** 3).sum()

    def dense(values):
        return ((DENSE.double().T @ torch.tanh(DENSE.double() @ values)) ** 3).sum()

    torch.testing.assert_close(grad(own)(x), grad(dense)(x))
    torch.testing.assert_close(jvp(own, (x,), (along,)), jvp(dense, (x,), (along,)))
    twice = [jvp(grad(one), (x,), (along,))[1] for one in (own, dense)]
    torch.testing.assert_close(*twice)
    torch.testing.assert_close(hessian(own)(x), hessian(dense)(x))  # several at once


def test_a_matrix_takes_the_size_of_what_is_loaded():
    other = SparseMatrix(0, 3).double()
    other.load_state_dict(kept().state_dict())
    x = torch.randn(3, 5, dtype=torch.float64)
    torch.testing.assert_close(other(x), kept()(x))
