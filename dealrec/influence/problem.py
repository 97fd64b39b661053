"""The quantities of a model and a parameter set that influence needs, and their general computation.

The ``P`` parameters of the set form one flat vector. Losses are those of a softmax over the catalogue
(:mod:`dealrec.influence.softmax`), dropout is off, and samples are independent of each other.
"""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vjp

from dealrec.config import Curvature, InfluenceParameters
from dealrec.influence.examples import Batch, Examples, Positions
from dealrec.influence.head import Head, curvatures, heads, state_derivatives, state_gradients
from dealrec.influence.softmax import CatalogueSoftmax
from dealrec.influence.solvers.interface import Operator, ProductOperator
from dealrec.surrogates.interface import Surrogate

Tick = Callable[[int], None]
"""Receives the number of examples just finished, or 0 during work; may raise ``Cancelled``."""
Parameters = dict[str, Tensor]
HELD = 1 << 28
"""The most numbers of a curvature that are kept in memory, 1 GiB in float32."""


def no_tick(_examples: int) -> None:
    """Report nothing and never cancel."""


def ticked(batches: Iterator[Batch], tick: Tick) -> Iterator[Batch]:
    """Yield the batches, with a tick before each and one for its examples after each."""
    for batch in batches:
        tick(0)
        yield batch
        tick(len(batch.index))


def _directional(function: Callable[[Parameters], Any], at: Parameters, along: Parameters) -> Any:
    """Compute the derivative of ``function`` at ``at`` along ``along`` in forward mode."""
    return jvp(function, (at,), (along,))[1]


class Problem(Protocol):
    """Gradients, directional derivatives and curvature over one parameter set."""

    size: int
    """``P``, the number of parameters."""

    def values(self) -> Tensor:
        """Return the parameters' values [P] float64."""

    def at(self, values: Tensor) -> Self:
        """Return the same problem with other values [P] of the parameters."""

    def gradient(self, examples: Examples, tick: Tick) -> Tensor:
        """Compute the gradient [P] float64 of the mean of the examples' losses."""

    def derivatives(
        self, examples: Examples, u: Tensor, tick: Tick
    ) -> tuple[Tensor, Tensor | None]:
        """Compute ``uᵀ∇L(e)``, [E] float64, and :meth:`gradient` if it needs no further pass."""

    def curvature(self, examples: Examples, kind: Curvature, tick: Tick) -> Operator:
        """Return the Hessian or Gauss-Newton matrix of the examples' mean loss.

        It ticks once for each example, and 0 in its products.
        """

    def outputs(self, examples: Examples, tick: Tick) -> tuple[Tensor, Tensor]:
        """Compute the state [E, d] at each example's target, and the item vectors [I, d].

        The examples have one loss position each.
        """

    def pulled(self, examples: Examples, states: Tensor, items: Tensor, tick: Tick) -> Tensor:
        """Pull gradients by :meth:`outputs`, [E, d] and [I, d], back to the parameters, [P] float64."""


class StatesAndItems(nn.Module):
    """Computes states [M, d] and item vectors [I, d] in one call, as functions of the parameters."""

    def __init__(self, model: Surrogate) -> None:
        super().__init__()
        self.model = model

    def forward(self, sequences: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.states_at(sequences, rows, columns), self.model.item_vectors()


class AutogradProblem:
    """The problem for any surrogate and parameter set, by one pass over the model per quantity."""

    def __init__(
        self,
        model: Surrogate,
        parameters: InfluenceParameters,
        softmax: CatalogueSoftmax | None = None,
    ) -> None:
        """Prepare the model; ``softmax`` is over the whole catalogue by default."""
        self.model, self.states = model, StatesAndItems(model)
        self.softmax = softmax or CatalogueSoftmax.whole(model.n_items)
        self.names = [f"model.{name}" for name in model.parameters_in(parameters)]
        found = {name: value.detach() for name, value in self.states.named_parameters()}
        self.measured = {name: found[name] for name in self.names}
        self.fixed = {name: value for name, value in found.items() if name not in self.measured}
        first = next(iter(found.values()))
        self.dtype, self.device = first.dtype, first.device
        self.size = sum(value.numel() for value in self.measured.values())
        self.items_move = self._items_move()

    def values(self) -> Tensor:
        return self._flat(self.measured)

    def at(self, values: Tensor) -> Self:
        moved = copy.copy(self)
        moved.measured = self._unflat(values)
        return moved

    def gradient(self, examples: Examples, tick: Tick) -> Tensor:
        total = torch.zeros(self.size, dtype=torch.float64, device=self.device)
        for batch in self._batches(examples, tick):
            at = batch.positions()
            outputs, pull, *_ = vjp(partial(self._outputs, at=at), self.measured)
            states, items = self._output_gradients(outputs, at)
            total += self._pulled(pull, states, items)
        return total / len(examples)

    def derivatives(
        self, examples: Examples, u: Tensor, tick: Tick
    ) -> tuple[Tensor, Tensor | None]:
        values = torch.zeros(len(examples), dtype=torch.float64, device=self.device)
        direction = self._unflat(u)
        for batch in self._batches(examples, tick):
            at = batch.positions()
            function = partial(self._outputs, at=at)
            (states, items), (d_states, d_items), *_ = jvp(function, (self.measured,), (direction,))
            if self.items_move:
                parts = heads(self.softmax, states, items, at.targets)
                found = torch.cat(
                    [head.derivatives(d_states[part], d_items) for part, head in parts]
                )
            else:
                found = state_derivatives(self.softmax, states, items, at.targets, d_states)
            values.index_add_(0, batch.index[at.rows], found * at.weights)
        return values, None

    def curvature(self, examples: Examples, kind: Curvature, tick: Tick) -> Operator:
        """Return the curvature as products.

        If the item vectors do not depend on the set, the softmax's part of the Gauss-Newton matrix is
        computed once, provided that it fits into memory.
        """
        width = self.model.item_vectors().shape[1]
        held = not self.items_move and int(examples.tokens.sum()) * width**2 <= HELD
        if kind is Curvature.GAUSS_NEWTON and held:
            kept = [batch.positions() for batch in self._batches(examples, tick)]
            bends = self._bends(kept, tick)
            return self._operator(
                lambda x: (self._held_product(*one, x) for one in zip(kept, bends, strict=True)),
                len(examples),
                tick,
            )
        tick(len(examples))
        hessian = kind is Curvature.HESSIAN
        product = self._hessian_product if hessian else self._gauss_newton_product
        batches = partial(examples.batches, self.dtype, self.device, self.softmax.columns)
        return self._operator(
            lambda x: (product(batch, x) for batch in batches()), len(examples), tick
        )

    def outputs(self, examples: Examples, tick: Tick) -> tuple[Tensor, Tensor]:
        items = self.model.item_vectors().detach()
        states = items.new_empty(len(examples), items.shape[1])
        for batch in self._batches(examples, tick):
            with torch.no_grad():
                states[batch.index], items = self._outputs(self.measured, batch.positions())
        return states, items

    def pulled(self, examples: Examples, states: Tensor, items: Tensor, tick: Tick) -> Tensor:
        total = torch.zeros(self.size, dtype=torch.float64, device=self.device)
        left: Tensor | None = items  # the items are the same in every batch: they are pulled once
        for batch in self._batches(examples, tick):
            pull = vjp(partial(self._outputs, at=batch.positions()), self.measured)[1]
            total += self._pulled(pull, states[batch.index], left)
            left = None
        return total

    def _items_move(self) -> bool:
        """Return whether the item vectors are functions of the measured parameters."""
        first = torch.zeros(1, dtype=torch.int64, device=self.device)
        at = Positions(first[None], first, first, first, first)
        followed = {name: value.detach().requires_grad_() for name, value in self.measured.items()}
        with torch.enable_grad():
            return self._outputs(followed, at)[1].requires_grad

    def _operator(
        self, products: Callable[[Parameters], Iterator[Tensor]], examples: int, tick: Tick
    ) -> ProductOperator:
        """Return the operator that averages the flat products of the batches over the examples."""

        def product(vector: Tensor) -> Tensor:
            total = torch.zeros(self.size, dtype=torch.float64, device=self.device)
            for part in products(self._unflat(vector)):
                tick(0)
                total += part
            return total / examples

        return ProductOperator(product, self.size, self.device)

    def _hessian_product(self, batch: Batch, direction: Parameters) -> Tensor:
        """Compute the Hessian's product by forward-over-reverse differentiation."""
        return self._flat(
            _directional(lambda p: grad(self._total)(p, batch), self.measured, direction)
        )

    def _gauss_newton_product(self, batch: Batch, direction: Parameters) -> Tensor:
        """Compute the product with ``Jᵀ (diag(p) − ppᵀ) J``, ``J`` the derivative of the logits."""
        at = batch.positions()
        outputs = partial(self._outputs, at=at)
        pulled = vjp(outputs, self.measured)
        d_states, d_items = _directional(outputs, self.measured, direction)
        head = self._head(pulled[0], at)
        return self._pulled(pulled[1], *head.bend(d_states, d_items, at.weights))

    def _held_product(self, at: Positions, bends: Tensor, direction: Parameters) -> Tensor:
        """Compute the Gauss-Newton product from the softmax's [M, d, d] curvatures at the tokens."""
        outputs = partial(self._outputs, at=at)
        pulled = vjp(outputs, self.measured)
        d_states, _ = _directional(outputs, self.measured, direction)
        bent = torch.bmm(bends, d_states[:, :, None]).squeeze(2)
        return self._pulled(pulled[1], bent, None)

    def _bends(self, kept: list[Positions], tick: Tick) -> tuple[Tensor, ...]:
        """Compute the weighted curvatures [M, d, d] of the softmax at the tokens of each batch."""
        with torch.no_grad():
            states = torch.cat([self._outputs(self.measured, at)[0] for at in kept])
            targets = torch.cat([at.targets for at in kept])
            weights = torch.cat([at.weights for at in kept])
            items = self.model.item_vectors()
            found = curvatures(self.softmax, states, items, targets, lambda: tick(0))
            found *= weights[:, None, None]
        return torch.split(found, [len(at.targets) for at in kept])

    def _output_gradients(
        self, outputs: tuple[Tensor, Tensor], at: Positions
    ) -> tuple[Tensor, Tensor | None]:
        """Compute the gradients of the weighted sum of the losses by states [M, d] and items [I, d].

        The second one is ``None`` if the items do not depend on the set.
        """
        if not self.items_move:
            found = state_gradients(self.softmax, *outputs, at.targets)
            return found * at.weights[:, None], None
        states, items = torch.empty_like(outputs[0]), torch.zeros_like(outputs[1])
        for part, head in heads(self.softmax, *outputs, at.targets):
            states[part] = head.state_gradients() * at.weights[part, None]
            items += head.item_gradients(at.weights[part])
        return states, items

    def _outputs(self, p: Parameters, at: Positions) -> tuple[Tensor, Tensor]:
        """Compute the states [M, d] and the items [I, d] as functions of the parameters."""
        places = (at.sequences, at.rows, at.columns)
        states, items = functional_call(self.states, {**self.fixed, **p}, places)
        return states, items

    def _head(self, outputs: tuple[Tensor, Tensor], at: Positions) -> Head:
        return Head.at(self.softmax, *outputs, at.targets)

    def _pulled(
        self, pull: Callable[..., tuple[Parameters]], states: Tensor, items: Tensor | None
    ) -> Tensor:
        """Pull gradients by states and items (``None`` for zero) back to the parameters, [P] float64."""
        if items is None:
            items = torch.zeros_like(self.model.item_vectors())
        return self._flat(pull((states, items))[0])

    def _losses(self, p: Parameters, batch: Batch) -> Tensor:
        at = batch.positions()
        losses = self.softmax.losses(*self._outputs(p, at), at.targets)
        total = torch.zeros(len(batch.index), dtype=self.dtype, device=self.device)
        return total.index_add(0, at.rows, losses * at.weights)

    def _total(self, p: Parameters, batch: Batch) -> Tensor:
        return self._losses(p, batch).sum()

    def _batches(self, examples: Examples, tick: Tick) -> Iterator[Batch]:
        """Cut batches by the model's tokens; computations with all items are cut smaller later."""
        return ticked(examples.batches(self.dtype, self.device, columns=1), tick)

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
