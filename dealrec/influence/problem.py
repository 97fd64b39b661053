"""What influence needs of a model and a parameter set; the general way, by autograd.

With ``P`` parameters in the set, as one flat vector. Losses are a softmax over the catalogue
(:mod:`dealrec.influence.softmax`), dropout is off, and no sample looks at another.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vjp

from dealrec.config import Curvature, InfluenceParameters
from dealrec.influence.examples import Batch, Examples
from dealrec.influence.softmax import CatalogueSoftmax
from dealrec.influence.solvers.interface import Operator, ProductOperator
from dealrec.surrogates.interface import Surrogate

Tick = Callable[[int], None]
"""Told how many examples were just finished (0: still at work); may raise ``Cancelled``."""
Parameters = dict[str, Tensor]


def directional(function: Callable[[Parameters], Any], at: Parameters, along: Parameters) -> Any:
    """The derivative of ``function`` at ``at`` along ``along``, in forward mode."""
    return jvp(function, (at,), (along,))[1]


class Problem(Protocol):
    """Gradients, directional derivatives and curvature over one parameter set."""

    size: int
    """``P``."""

    def gradient(self, examples: Examples, tick: Tick) -> Tensor:
        """[P] float64: the gradient of the mean of the examples' losses."""

    def derivatives(
        self, examples: Examples, u: Tensor, tick: Tick
    ) -> tuple[Tensor, Tensor | None]:
        """[E] float64 ``uᵀ∇L(e)``; and, where it costs nothing more, :meth:`gradient`."""

    def curvature(self, examples: Examples, kind: Curvature, tick: Tick) -> Operator:
        """The Hessian or Gauss-Newton matrix of the examples' mean loss."""


class _States(nn.Module):
    """Gives states and item vectors of one call, so that both are functions of the parameters."""

    def __init__(self, model: Surrogate) -> None:
        super().__init__()
        self.model = model

    def forward(self, sequences: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.states_at(sequences, rows, columns), self.model.item_vectors()


class AutogradProblem:
    """Works for every surrogate and parameter set: one pass over the model for each quantity."""

    def __init__(
        self,
        model: Surrogate,
        parameters: InfluenceParameters,
        softmax: CatalogueSoftmax | None = None,
    ) -> None:
        """The softmax is over the whole catalogue if none is given."""
        self.states = _States(model)
        self.softmax = softmax or CatalogueSoftmax.whole(model.n_items)
        self.names = [f"model.{name}" for name in model.parameters_in(parameters)]
        found = {name: value.detach() for name, value in self.states.named_parameters()}
        self.measured = {name: found[name] for name in self.names}
        self.fixed = {name: value for name, value in found.items() if name not in self.measured}
        first = next(iter(found.values()))
        self.dtype, self.device = first.dtype, first.device
        self.size = sum(value.numel() for value in self.measured.values())

    def gradient(self, examples: Examples, tick: Tick) -> Tensor:
        total = torch.zeros(self.size, dtype=torch.float64, device=self.device)
        for batch in self._batches(examples, tick):
            total += self._flat(grad(self._total)(self.measured, batch))
        return total / len(examples)

    def derivatives(
        self, examples: Examples, u: Tensor, tick: Tick
    ) -> tuple[Tensor, Tensor | None]:
        values = torch.zeros(len(examples), dtype=torch.float64, device=self.device)
        direction = self._unflat(u)
        for batch in self._batches(examples, tick):
            losses = partial(self._losses, batch=batch)
            tangents = directional(losses, self.measured, direction)
            values[batch.index] = tangents.to(torch.float64)
        return values, None

    def curvature(self, examples: Examples, kind: Curvature, tick: Tick) -> Operator:
        one = self._hessian_product if kind is Curvature.HESSIAN else self._gauss_newton_product

        def product(vector: Tensor) -> Tensor:
            total = torch.zeros(self.size, dtype=torch.float64, device=self.device)
            direction = self._unflat(vector)
            for batch in examples.batches(self.dtype, self.device, self.softmax.columns):
                tick(0)
                total += self._flat(one(batch, direction))
            return total / len(examples)

        return ProductOperator(product, self.size, self.device)

    def _hessian_product(self, batch: Batch, direction: Parameters) -> Parameters:
        """Forward over reverse."""
        tangent = directional(lambda p: grad(self._total)(p, batch), self.measured, direction)
        result: Parameters = tangent
        return result

    def _gauss_newton_product(self, batch: Batch, direction: Parameters) -> Parameters:
        """``Jᵀ (diag(p) − ppᵀ) J`` with ``J`` the derivative of the logits."""
        rows, columns = torch.nonzero(batch.weights, as_tuple=True)
        weights = batch.weights[rows, columns]
        targets = batch.targets[rows, columns]
        places = (batch.sequences, rows, columns)

        def logits(p: Parameters) -> Tensor:
            states, items = functional_call(self.states, {**self.fixed, **p}, places)
            return self.softmax.logits(states, items, targets)

        pulled = vjp(logits, self.measured)
        values, pull = pulled[0], pulled[1]
        tangent = directional(logits, self.measured, direction)
        p = values.softmax(1)
        bent = p * (tangent - (p * tangent).sum(1, keepdim=True)) * weights[:, None]
        result: Parameters = pull(bent)[0]
        return result

    def _losses(self, p: Parameters, batch: Batch) -> Tensor:
        rows, columns = torch.nonzero(batch.weights, as_tuple=True)
        places = (batch.sequences, rows, columns)
        states, items = functional_call(self.states, {**self.fixed, **p}, places)
        losses = self.softmax.losses(states, items, batch.targets[rows, columns])
        total = torch.zeros(len(batch.index), dtype=self.dtype, device=self.device)
        return total.index_add(0, rows, losses * batch.weights[rows, columns])

    def _total(self, p: Parameters, batch: Batch) -> Tensor:
        return self._losses(p, batch).sum()

    def _batches(self, examples: Examples, tick: Tick) -> Iterator[Batch]:
        for batch in examples.batches(self.dtype, self.device, self.softmax.columns):
            tick(0)
            yield batch
            tick(len(batch.index))

    def _flat(self, values: Parameters) -> Tensor:
        return torch.cat([values[name].reshape(-1) for name in self.names]).to(torch.float64)

    def _unflat(self, vector: Tensor) -> Parameters:
        parts = torch.split(
            vector.to(self.dtype), [self.measured[name].numel() for name in self.names]
        )
        return {
            name: part.view_as(self.measured[name])
            for name, part in zip(self.names, parts, strict=True)
        }
