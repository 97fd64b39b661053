"""Fixed sparse matrices that a surrogate keeps, and products with them that can be differentiated."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Sparse:
    """A sparse matrix with ``nnz`` values, in the order of its rows."""

    places: Tensor
    """[2, nnz] int64 the row and the column of each value."""
    values: Tensor
    """[nnz] the values."""
    shape: tuple[int, int]

    def times(self, dense: Tensor) -> Tensor:
        """Compute the product [rows, d] with a dense matrix [columns, d], without derivatives."""
        matrix = torch.sparse_coo_tensor(
            self.places, self.values, self.shape, is_coalesced=True, check_invariants=False
        )
        found: Tensor = torch.sparse.mm(matrix, dense.contiguous())
        return found


class _Product(torch.autograd.Function):
    """A product that is linear in the dense matrix: its derivatives are such products again.

    The sparse products of torch have no derivatives in forward mode, which influence needs.
    """

    @staticmethod
    def forward(dense: Tensor, matrix: Sparse, transposed: Sparse) -> Tensor:  # noqa: ARG004
        return matrix.times(dense)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        _, ctx.matrix, ctx.transposed = inputs

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return product(gradients[0], ctx.transposed, ctx.matrix), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return product(tangents[0], ctx.matrix, ctx.transposed)

    @staticmethod
    def vmap(
        info: Any,  # noqa: ARG004
        in_dims: tuple[Any, ...],
        dense: Tensor,
        matrix: Sparse,
        transposed: Sparse,
    ) -> tuple[Tensor, int]:
        """Treat ``V`` dense matrices as one with ``V`` times as many columns."""
        wide = dense.movedim(in_dims[0], 1)
        found = product(wide.flatten(1), matrix, transposed)
        return found.view(len(found), *wide.shape[1:]), 1


def product(dense: Tensor, matrix: Sparse, transposed: Sparse) -> Tensor:
    """Compute ``matrix`` times ``dense`` [columns, d], with derivatives of any order by ``dense``."""
    found: Tensor = _Product.apply(dense, matrix, transposed)  # type: ignore[no-untyped-call]
    return found


class SparseMatrix(nn.Module):
    """A fixed sparse matrix as buffers, which are stored with a surrogate's parameters."""

    def __init__(self, rows: int, columns: int) -> None:
        """Make a matrix without values, which :meth:`keep` replaces."""
        super().__init__()
        self.keep(scipy.sparse.csr_array((rows, columns), dtype=np.float32))

    def keep(self, matrix: scipy.sparse.sparray) -> None:
        """Take the values of ``matrix``."""
        self.register_buffer("shape", torch.tensor(matrix.shape))
        for name, one in (("own", matrix), ("transposed", matrix.T)):
            rows = scipy.sparse.csr_array(one)
            rows.sum_duplicates()
            cells = rows.tocoo()
            places = np.stack([cells.row, cells.col]).astype(np.int64)
            self.register_buffer(f"{name}_places", torch.from_numpy(places))
            self.register_buffer(f"{name}_values", torch.from_numpy(cells.data.astype(np.float32)))

    @property
    def own(self) -> Sparse:
        """The matrix."""
        rows, columns = self.get_buffer("shape").tolist()
        places, values = self.get_buffer("own_places"), self.get_buffer("own_values")
        return Sparse(places, values, (rows, columns))

    @property
    def transposed(self) -> Sparse:
        """The transposed matrix."""
        rows, columns = self.get_buffer("shape").tolist()
        places = self.get_buffer("transposed_places")
        return Sparse(places, self.get_buffer("transposed_values"), (columns, rows))

    def forward(self, dense: Tensor) -> Tensor:
        """Compute the product [rows, d] with ``dense`` [columns, d]."""
        return product(dense, self.own, self.transposed)

    def backwards(self, dense: Tensor) -> Tensor:
        """Compute the product [columns, d] of the transposed matrix with ``dense`` [rows, d]."""
        return product(dense, self.transposed, self.own)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        """Take the sizes of the buffers from what is loaded; they follow from the data."""
        for name, buffer in list(self.named_buffers(recurse=False)):
            if prefix + name in state_dict:
                empty = buffer.new_empty(state_dict[prefix + name].shape)
                self.register_buffer(name, empty)
        super()._load_from_state_dict(state_dict, prefix, *rest)
