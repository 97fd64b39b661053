"""Influence through the output item vectors ``E``, with fixed states.

A token's logits ``Es`` are linear in ``E``. With ``p = softmax(Es)`` and target ``y``, the gradient of
its loss is ``(p − e_y) sᵀ``, the derivative along ``U`` is ``sᵀ(Uᵀp − u_y)``, and the Hessian is the
Gauss-Newton matrix ``(diag(p) − ppᵀ) ⊗ ssᵀ``, so the risk is convex in ``E``. No model pass is
differentiated. The input vectors stay fixed, even if the surrogate ties them to ``E``.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from dealrec.config import Curvature
from dealrec.influence.examples import Batch, Examples, Positions
from dealrec.influence.head import Head
from dealrec.influence.problem import HELD, Tick, ticked
from dealrec.influence.softmax import CatalogueSoftmax
from dealrec.influence.solvers.interface import Operator, ProductOperator
from dealrec.surrogates.interface import Surrogate


@dataclass(frozen=True)
class _Held:
    """The ``M`` tokens of a batch."""

    states: Tensor
    """[M, d] the states."""
    targets: Tensor
    """[M] the items that follow the tokens."""
    weights: Tensor
    """[M] the tokens' weights in their examples' losses."""
    p: Tensor | None
    """[M, columns] the probabilities; ``None`` if those of all batches do not fit into memory."""


class ItemProblem:
    """The :class:`~dealrec.influence.problem.Problem` of ``item_embedding``, for any surrogate."""

    def __init__(self, model: Surrogate, softmax: CatalogueSoftmax | None = None) -> None:
        """Prepare the problem; the softmax is over all items by default."""
        self.model = model
        self.softmax = softmax or CatalogueSoftmax.whole(model.n_items)
        self.items = model.item_vectors().detach()
        self.size = self.items.numel()
        self.dtype, self.device = self.items.dtype, self.items.device

    def values(self) -> Tensor:
        return self.items.reshape(-1).to(torch.float64)

    def at(self, values: Tensor) -> Self:
        moved = copy.copy(self)
        moved.items = values.view(self.items.shape).to(self.dtype)
        return moved

    def gradient(self, examples: Examples, tick: Tick) -> Tensor:
        total = torch.zeros(self.items.shape, dtype=torch.float64, device=self.device)
        for _, at, head in self._heads(examples, tick):
            head.add_item_gradients(total, at.weights)
        return total.reshape(-1) / len(examples)

    def derivatives(self, examples: Examples, u: Tensor, tick: Tick) -> tuple[Tensor, Tensor]:
        values = torch.zeros(len(examples), dtype=torch.float64, device=self.device)
        total = torch.zeros(self.items.shape, dtype=torch.float64, device=self.device)
        direction = u.view_as(self.items).to(self.dtype)
        for batch, at, head in self._heads(examples, tick):
            found = head.item_derivatives(direction)
            values.index_add_(0, batch.index[at.rows], found * at.weights)
            head.add_item_gradients(total, at.weights)
        return values, total.reshape(-1) / len(examples)

    def curvature(
        self,
        examples: Examples,
        kind: Curvature,  # noqa: ARG002 - the two are one matrix here
        tick: Tick,
    ) -> Operator:
        """Return the curvature, which is the same matrix for both kinds."""
        fits = int(examples.tokens.sum()) * self.softmax.columns <= HELD
        held = [
            _Held(head.states, head.targets, at.weights, head.p if fits else None)
            for _, at, head in self._heads(examples, tick)
        ]

        def product(vector: Tensor) -> Tensor:
            total = torch.zeros(self.size, dtype=torch.float64, device=self.device)
            direction = vector.view_as(self.items).to(self.dtype)
            for one in held:
                tick(0)
                total += self._head(one).bend_items(direction, one.weights).reshape(-1)
            return total / len(examples)

        return ProductOperator(product, self.size, self.device)

    def outputs(self, examples: Examples, tick: Tick) -> tuple[Tensor, Tensor]:
        states = self.items.new_empty(len(examples), self.items.shape[1])
        for batch in ticked(examples.batches(self.dtype, self.device, columns=1), tick):
            at = batch.positions()
            with torch.no_grad():
                states[batch.index] = self.model.states_at(at.sequences, at.rows, at.columns)
        return states, self.items

    def pulled(
        self,
        examples: Examples,  # noqa: ARG002 - the states do not depend on the output item vectors
        states: Tensor,  # noqa: ARG002
        items: Tensor,
        tick: Tick,  # noqa: ARG002
    ) -> Tensor:
        return items.reshape(-1).to(torch.float64)

    def _heads(self, examples: Examples, tick: Tick) -> Iterator[tuple[Batch, Positions, Head]]:
        batches = examples.batches(self.dtype, self.device, self.softmax.columns)
        for batch in ticked(batches, tick):
            at = batch.positions()
            with torch.no_grad():
                states = self.model.states_at(at.sequences, at.rows, at.columns)
            yield batch, at, Head.at(self.softmax, states, self.items, at.targets)

    def _head(self, one: _Held) -> Head:
        if one.p is None:
            return Head.at(self.softmax, one.states, self.items, one.targets)
        return Head(self.softmax, one.states, self.items, one.targets, one.p)
