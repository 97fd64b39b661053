"""Influence through the last attention output matrix ``W``, from factors of single tokens.

Only token-wise layers follow ``W`` (:class:`~dealrec.surrogates.interface.TokenwiseTail`). With
``x`` what enters ``W`` at a token, ``z = Wx``, ``g = ∂ℓ/∂z``, the token's gradient is ``g xᵀ``,
its directional derivative along ``U`` is ``gᵀUx``, and its Gauss-Newton matrix is ``M ⊗ xxᵀ``
with ``M = Fᵀ C F``: ``F`` the derivative of the state by ``z``, ``C = Eᵀ(diag(p) − ppᵀ)E`` the
softmax's curvature in the space of states. So the curvature is ``d²`` numbers a token, made once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor
from torch.func import jacfwd, jvp, vjp, vmap

from dealrec.config import Curvature, InfluenceParameters
from dealrec.influence.examples import Batch, Examples
from dealrec.influence.head import curvatures, state_gradients
from dealrec.influence.items import ItemProblem
from dealrec.influence.problem import HELD, AutogradProblem, Problem, Tick
from dealrec.influence.softmax import CatalogueSoftmax
from dealrec.influence.solvers.interface import Operator, ProductOperator
from dealrec.surrogates.interface import Surrogate, TokenwiseTail

SLOPE_TOKENS = 512
"""Tokens whose slopes are made at once: automatic differentiation holds several of each."""


@dataclass(frozen=True)
class _Tokens:
    """The ``M`` tokens of a batch whose losses count."""

    rows: Tensor
    """[M] the row of the batch."""
    entering: Tensor
    """[M, d], ``x``."""
    residual: Tensor
    """[M, d], what is added to ``Wx``."""
    targets: Tensor
    weights: Tensor


@dataclass(frozen=True)
class FactoredCurvature:
    """``Σ_t M_t ⊗ x_t x_tᵀ`` over ``M`` tokens, as an operator on the flattened [d, d] matrix."""

    entering: Tensor
    """[M, d], ``x``."""
    bends: Tensor
    """[M, d, d], ``M_t`` times the token's share of the mean."""

    def __call__(self, vector: Tensor) -> Tensor:
        """[d²] float64 → [d²] float64."""
        x = self.entering
        direction = vector.view(self.bends.shape[1:]).to(x.dtype)
        bent = torch.bmm(self.bends, (x @ direction.T)[:, :, None]).squeeze(2)
        return (bent.T @ x).reshape(-1).to(torch.float64)

    def matrix(self) -> Tensor:
        """[d², d²] float64: one product of the tokens' flattened factors."""
        x, width = self.entering.double(), self.entering.shape[1]
        outer = (x[:, :, None] * x[:, None, :]).flatten(1)
        found = self.bends.double().flatten(1).T @ outer
        # [a, b, i, j] of M[a, b] x[i] x[j] belongs at row (a, i), column (b, j).
        matrix = found.view(width, width, width, width).transpose(1, 2).reshape(width**2, -1)
        return (matrix + matrix.T) / 2


class FactorProblem:
    """:class:`~dealrec.influence.problem.Problem` for ``attention_output``, without model passes."""

    def __init__(
        self, model: Surrogate, tail: TokenwiseTail, softmax: CatalogueSoftmax | None
    ) -> None:
        """``model`` and ``tail`` are the same object, seen through its two interfaces."""
        self.model, self.tail = model, tail
        self.general = AutogradProblem(model, InfluenceParameters.ATTENTION_OUTPUT, softmax)
        self.softmax = self.general.softmax
        self.matrix = model.get_parameter(tail.attention_output_name()).detach()
        self.items = model.item_vectors().detach()
        self.dtype, self.device = self.matrix.dtype, self.matrix.device
        self.size = self.matrix.numel()

    def gradient(self, examples: Examples, tick: Tick) -> Tensor:
        """[P] float64."""
        total = torch.zeros(self.matrix.shape, dtype=torch.float64, device=self.device)
        for _, tokens in self._tokens(examples, tick):
            total += (self._output_gradients(tokens).T @ tokens.entering).to(torch.float64)
        return total.reshape(-1) / len(examples)

    def derivatives(
        self, examples: Examples, u: Tensor, tick: Tick
    ) -> tuple[Tensor, Tensor | None]:
        """[E] float64, and the gradient, which the same factors give."""
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
        """From the factors where they can be held, else by autograd."""
        if int(examples.tokens.sum()) * self.size > HELD:
            return self.general.curvature(examples, kind, tick)
        parts = [tokens for _, tokens in self._tokens(examples, tick)]
        entering, targets = (
            torch.cat([x.entering for x in parts]),
            torch.cat([x.targets for x in parts]),
        )
        residual, weights = (
            torch.cat([x.residual for x in parts]),
            torch.cat([x.weights for x in parts]),
        )
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

    def _pulled(
        self,
        entering: Tensor,
        residual: Tensor,
        states: Tensor,
        gradients: Tensor,
        bends: Tensor,
        matrix: Tensor,
    ) -> Tensor:
        """The gradient by the matrix ``W`` of a risk that is quadratic in the states ``s(W)``.

        ``J(W)ᵀ (g + C (s(W) − s))``: with the loss's own gradients ``g`` and curvatures ``C`` at the
        states ``s``, its derivative there is the Hessian of the loss, without its logits.
        """
        found, pull, *_ = vjp(lambda m: self._states(m, entering, residual), matrix)
        moved = torch.bmm(bends, (found - states)[:, :, None]).squeeze(2)
        (pulled,) = pull(gradients + moved)
        return cast("Tensor", pulled)

    def _states(self, matrix: Tensor, entering: Tensor, residual: Tensor) -> Tensor:
        """[M, d]."""
        return self.tail.after_attention_output(entering @ matrix.T, residual)

    def _tokens(self, examples: Examples, tick: Tick) -> Iterator[tuple[Batch, _Tokens]]:
        for batch in examples.batches(self.dtype, self.device, columns=1):
            tick(0)
            at = batch.positions()
            with torch.no_grad():
                entering, residual = self.tail.entering_at(at.sequences, at.rows, at.columns)
            yield batch, _Tokens(at.rows, entering, residual, at.targets, at.weights)
            tick(len(batch.index))

    def _output_gradients(self, tokens: _Tokens) -> Tensor:
        """[M, d], ``g`` times the token's weight."""
        projected = (tokens.entering @ self.matrix.T).requires_grad_()
        states = self.tail.after_attention_output(projected, tokens.residual)
        outer = state_gradients(self.softmax, states, self.items, tokens.targets)
        outer *= tokens.weights[:, None]
        (gradients,) = torch.autograd.grad(states, projected, outer)
        return gradients

    def _slopes(self, tokens: _Tokens) -> Tensor:
        """[M, d, d], ``F``."""
        with torch.no_grad():
            slope = vmap(jacfwd(self.tail.after_attention_output), chunk_size=SLOPE_TOKENS)
            found: Tensor = slope(tokens.entering @ self.matrix.T, tokens.residual)
        return found


def make_problem(
    model: Surrogate,
    parameters: InfluenceParameters,
    softmax: CatalogueSoftmax | None = None,
) -> Problem:
    """The fast way where the model and the parameter set allow it."""
    if parameters is InfluenceParameters.ITEM_EMBEDDING:
        return ItemProblem(model, softmax)
    if parameters is InfluenceParameters.ATTENTION_OUTPUT and isinstance(model, TokenwiseTail):
        return FactorProblem(model, model, softmax)
    return AutogradProblem(model, parameters, softmax)
