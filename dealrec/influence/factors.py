"""Influence through the last attention output matrix ``W``, from factors of single tokens.

Only token-wise layers follow ``W`` (:class:`~dealrec.surrogates.interface.TokenwiseTail`). Let ``x``
be the input of ``W`` at a token, ``z = Wx`` and ``g = ∂ℓ/∂z``. The token's gradient is ``g xᵀ``, its
directional derivative along ``U`` is ``gᵀUx``, and its Gauss-Newton matrix is ``M ⊗ xxᵀ`` with
``M = Fᵀ C F``, where ``F`` is the derivative of the state by ``z`` and ``C = Eᵀ(diag(p) − ppᵀ)E`` is
the softmax's curvature in the space of states. So ``d²`` numbers per token, computed once, hold the
curvature.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Self, cast

import torch
from torch import Tensor
from torch.func import jacfwd, jvp, vjp, vmap

from dealrec.config import Curvature, InfluenceParameters
from dealrec.influence.examples import Batch, Examples
from dealrec.influence.head import curvatures, state_gradients
from dealrec.influence.items import ItemProblem
from dealrec.influence.problem import HELD, AutogradProblem, Problem, Tick, ticked
from dealrec.influence.softmax import CatalogueSoftmax
from dealrec.influence.solvers.interface import Operator, ProductOperator
from dealrec.surrogates.interface import Surrogate, TokenwiseTail

_SLOPE_TOKENS = 512
"""Tokens whose slopes are computed at once; automatic differentiation holds several copies of each."""


@dataclass(frozen=True)
class _Tokens:
    """The ``M`` tokens of a batch whose losses count."""

    rows: Tensor
    """[M] the token's row of the batch."""
    entering: Tensor
    """[M, d] the input ``x`` of the matrix."""
    residual: Tensor
    """[M, d] the residual that is added to ``Wx``."""
    targets: Tensor
    """[M] the item that follows the token."""
    weights: Tensor
    """[M] the token's weight in its example's loss."""


@dataclass(frozen=True)
class FactoredCurvature:
    """``Σ_t M_t ⊗ x_t x_tᵀ`` over ``M`` tokens, as an operator on the flattened [d, d] matrix."""

    entering: Tensor
    """[M, d] the inputs ``x``."""
    bends: Tensor
    """[M, d, d] the matrices ``M_t``, times the token's share of the mean."""

    def __call__(self, vector: Tensor) -> Tensor:
        """Map a vector [d²] float64 to its product [d²] float64."""
        x = self.entering
        direction = vector.view(self.bends.shape[1:]).to(x.dtype)
        bent = torch.bmm(self.bends, (x @ direction.T)[:, :, None]).squeeze(2)
        return (bent.T @ x).reshape(-1).to(torch.float64)

    def matrix(self) -> Tensor:
        """Compute [d², d²] float64 as one product of the tokens' flattened factors."""
        x, width = self.entering.double(), self.entering.shape[1]
        outer = (x[:, :, None] * x[:, None, :]).flatten(1)
        found = self.bends.double().flatten(1).T @ outer
        # The entry M[a, b] x[i] x[j] at [a, b, i, j] belongs into row (a, i) and column (b, j).
        matrix = found.view(width, width, width, width).transpose(1, 2).reshape(width**2, -1)
        return (matrix + matrix.T) / 2


class FactorProblem:
    """The :class:`~dealrec.influence.problem.Problem` of ``attention_output``, from token factors."""

    def __init__(
        self, model: Surrogate, tail: TokenwiseTail, softmax: CatalogueSoftmax | None
    ) -> None:
        """Prepare the problem; ``model`` and ``tail`` are the same object under its two interfaces."""
        self.model, self.tail = model, tail
        self.general = AutogradProblem(model, InfluenceParameters.ATTENTION_OUTPUT, softmax)
        self.softmax = self.general.softmax
        self.matrix = model.get_parameter(tail.attention_output_name()).detach()
        self.items = model.item_vectors().detach()
        self.dtype, self.device = self.matrix.dtype, self.matrix.device
        self.size = self.matrix.numel()

    def values(self) -> Tensor:
        return self.matrix.reshape(-1).to(torch.float64)

    def at(self, values: Tensor) -> Self:
        moved = copy.copy(self)
        moved.general = self.general.at(values)
        moved.matrix = values.view(self.matrix.shape).to(self.dtype)
        return moved

    def gradient(self, examples: Examples, tick: Tick) -> Tensor:
        """Compute the gradient [P] float64 of the mean loss."""
        total = torch.zeros(self.matrix.shape, dtype=torch.float64, device=self.device)
        for _, tokens in self._tokens(examples, tick):
            total += (self._output_gradients(tokens).T @ tokens.entering).to(torch.float64)
        return total.reshape(-1) / len(examples)

    def derivatives(
        self, examples: Examples, u: Tensor, tick: Tick
    ) -> tuple[Tensor, Tensor | None]:
        """Compute the derivatives [E] float64, and the gradient from the same factors."""
        values = torch.zeros(len(examples), dtype=torch.float64, device=self.device)
        total = torch.zeros(self.matrix.shape, dtype=torch.float64, device=self.device)
        direction = u.view(self.matrix.shape)
        for batch, tokens in self._tokens(examples, tick):
            gradients = self._output_gradients(tokens).to(torch.float64)
            entering = tokens.entering.to(torch.float64)
            values.index_add_(
                0, batch.index[tokens.rows], (gradients * (entering @ direction.T)).sum(1)
            )
            total += gradients.T @ entering
        return values, total.reshape(-1) / len(examples)

    def curvature(self, examples: Examples, kind: Curvature, tick: Tick) -> Operator:
        """Return the curvature from the factors if they fit into memory, otherwise by autograd."""
        if int(examples.tokens.sum()) * self.size > HELD:
            return self.general.curvature(examples, kind, tick)
        parts = [tokens for _, tokens in self._tokens(examples, tick)]
        entering = torch.cat([part.entering for part in parts])
        residual = torch.cat([part.residual for part in parts])
        targets = torch.cat([part.targets for part in parts])
        weights = torch.cat([part.weights for part in parts])
        with torch.no_grad():
            states = self._states(self.matrix, entering, residual)
        bends = curvatures(self.softmax, states, self.items, targets, lambda: tick(0))
        bends *= (weights / len(examples))[:, None, None]
        if kind is Curvature.GAUSS_NEWTON:
            slopes = torch.cat([self._slopes(tokens) for tokens in parts])
            return FactoredCurvature(entering, slopes.transpose(1, 2) @ bends @ slopes)
        gradients = state_gradients(self.softmax, states, self.items, targets)
        gradients *= (weights / len(examples))[:, None]
        pulled = partial(self._pulled, entering, residual, states, gradients, bends)

        def product(vector: Tensor) -> Tensor:
            tick(0)
            direction = vector.view(self.matrix.shape).to(self.dtype)
            with torch.no_grad():
                found: Tensor = jvp(pulled, (self.matrix,), (direction,))[1]
            return found.reshape(-1).to(torch.float64)

        return ProductOperator(product, self.size, self.device)

    def outputs(self, examples: Examples, tick: Tick) -> tuple[Tensor, Tensor]:
        return self.general.outputs(examples, tick)

    def pulled(self, examples: Examples, states: Tensor, items: Tensor, tick: Tick) -> Tensor:
        return self.general.pulled(examples, states, items, tick)

    def _pulled(
        self,
        entering: Tensor,
        residual: Tensor,
        states: Tensor,
        gradients: Tensor,
        bends: Tensor,
        matrix: Tensor,
    ) -> Tensor:
        """Compute the gradient by the matrix ``W`` of a risk that is quadratic in the states ``s(W)``.

        The gradient is ``J(W)ᵀ (g + C (s(W) − s))``. With the loss's gradients ``g`` and curvatures
        ``C`` at the states ``s``, its derivative there is the Hessian of the loss, and needs no logits.
        """
        found, pull, *_ = vjp(lambda m: self._states(m, entering, residual), matrix)
        moved = torch.bmm(bends, (found - states)[:, :, None]).squeeze(2)
        (pulled,) = pull(gradients + moved)
        return cast("Tensor", pulled)

    def _states(self, matrix: Tensor, entering: Tensor, residual: Tensor) -> Tensor:
        """Compute the states [M, d] with the matrix ``W``."""
        return self.tail.after_attention_output(entering @ matrix.T, residual)

    def _tokens(self, examples: Examples, tick: Tick) -> Iterator[tuple[Batch, _Tokens]]:
        for batch in ticked(examples.batches(self.dtype, self.device, columns=1), tick):
            at = batch.positions()
            with torch.no_grad():
                entering, residual = self.tail.entering_at(at.sequences, at.rows, at.columns)
            yield batch, _Tokens(at.rows, entering, residual, at.targets, at.weights)

    def _output_gradients(self, tokens: _Tokens) -> Tensor:
        """Compute the gradients ``g`` times the tokens' weights, [M, d]."""
        projected = (tokens.entering @ self.matrix.T).requires_grad_()
        states = self.tail.after_attention_output(projected, tokens.residual)
        outer = state_gradients(self.softmax, states, self.items, tokens.targets)
        outer *= tokens.weights[:, None]
        (gradients,) = torch.autograd.grad(states, projected, outer)
        return gradients

    def _slopes(self, tokens: _Tokens) -> Tensor:
        """Compute the derivatives ``F`` of the states, [M, d, d]."""
        with torch.no_grad():
            slope = vmap(jacfwd(self.tail.after_attention_output), chunk_size=_SLOPE_TOKENS)
            found: Tensor = slope(tokens.entering @ self.matrix.T, tokens.residual)
        return found


def make_problem(
    model: Surrogate,
    parameters: InfluenceParameters,
    softmax: CatalogueSoftmax | None = None,
) -> Problem:
    """Return the fastest problem that the model and the parameter set allow."""
    if parameters is InfluenceParameters.ITEM_EMBEDDING:
        return ItemProblem(model, softmax)
    if parameters is InfluenceParameters.ATTENTION_OUTPUT and isinstance(model, TokenwiseTail):
        return FactorProblem(model, model, softmax)
    return AutogradProblem(model, parameters, softmax)
