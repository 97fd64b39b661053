"""Derivatives, in closed form, of the losses of a softmax over item vectors.

Let ``s`` be a token's state, ``E`` the item vectors, ``y`` the target and ``p = softmax(Es)``. The loss
is ``logsumexp(Es) − e_yᵀs``. Along ``(ds, dE)`` the logits change by ``t = E ds + dE s``, the loss
changes by ``pᵀt − t_y = (Eᵀp − e_y)ᵀds + sᵀ(dEᵀp − de_y)``, and the Gauss-Newton matrix maps ``t`` to
``(diag(p) − ppᵀ) t``. Automatic differentiation holds several matrices of tokens times items for each
of these; the closed forms hold one or two.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dealrec.influence.examples import LOGIT_ELEMENTS
from dealrec.influence.softmax import CatalogueSoftmax

FUSED_TOKENS = 2048
"""Tokens in one round of the fused kernel, which uses larger blocks from 768 tokens on."""
_ITEM_BLOCK = 4096
"""Items whose products of coordinates are in memory at once."""
_CURVATURE_ELEMENTS = 1 << 24
"""Tokens times columns in one round over the items' products, all of which each round recomputes."""


@dataclass(frozen=True)
class Head:
    """The softmax at ``M`` tokens."""

    softmax: CatalogueSoftmax
    states: Tensor
    """[M, d] the states."""
    items: Tensor
    """[I, d] the item vectors."""
    targets: Tensor
    """[M] the items that follow the tokens."""
    p: Tensor
    """[M, columns] the probabilities."""

    @classmethod
    def at(
        cls, softmax: CatalogueSoftmax, states: Tensor, items: Tensor, targets: Tensor
    ) -> "Head":
        """Make the head; this computes its probabilities once."""
        with torch.no_grad():
            p = softmax.logits(states, items, targets).softmax(1)
        return cls(softmax, states.detach(), items.detach(), targets, p)

    def state_gradients(self) -> Tensor:
        """Compute the gradients [M, d] of the losses by states: the expected less the target's vector.

        :func:`state_gradients` is faster if the probabilities are not needed otherwise.
        """
        return self._mean(self.items) - self.items[self.targets]

    def item_gradients(self, weights: Tensor) -> Tensor:
        """Compute the gradient [I, d] by items of the sum of the losses times [M] ``weights``."""
        return self.add_item_gradients(torch.zeros_like(self.items), weights)

    def add_item_gradients(self, total: Tensor, weights: Tensor) -> Tensor:
        """Add :meth:`item_gradients` to ``total`` [I, d] in place, and return it."""
        weighted = self.states * weights[:, None]
        self.softmax.spread_into(total, self.p, weighted, self.targets)
        return total.index_add_(0, self.targets, -weighted.to(total.dtype))

    def derivatives(self, d_states: Tensor, d_items: Tensor) -> Tensor:
        """Compute the derivatives [M] float64 of the losses along [M, d] states and [I, d] items."""
        return _rows(self.state_gradients(), d_states) + self.item_derivatives(d_items)

    def item_derivatives(self, d_items: Tensor) -> Tensor:
        """Compute the derivatives [M] float64 of the losses along [I, d] items, with fixed states."""
        return _rows(self.states, self._mean(d_items) - d_items[self.targets])

    def bend(self, d_states: Tensor, d_items: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the Gauss-Newton product, [M, d] and [I, d], with each token's part times its weight."""
        t = self.softmax.products(d_states, self.items, self.targets)
        t += self.softmax.products(self.states, d_items, self.targets)
        t -= (self.p * t).sum(1, keepdim=True)
        t *= self.p
        t *= weights[:, None]
        bent = self.softmax.mean_vectors(t, self.items, self.targets)
        return bent, self.softmax.spread(t, self.states, self.targets, len(self.items))

    def bend_items(self, d_items: Tensor, weights: Tensor) -> Tensor:
        """Compute the Gauss-Newton product [I, d] with fixed states, weighted as in :meth:`bend`."""
        t = self.softmax.products(self.states, d_items, self.targets)
        t -= torch.linalg.vecdot(self.p, t)[:, None]
        t *= self.p
        weighted = self.states * weights[:, None]
        return self.softmax.spread(t, weighted, self.targets, len(self.items))

    def curvature(self) -> Tensor:
        """Compute the Gauss-Newton matrices ``Eᵀ(diag(p) − ppᵀ)E`` with fixed items, [M, d, d].

        The first term is a product of the probabilities with the items' products of coordinates.
        """
        size = self.items.shape[1]
        first, second = torch.triu_indices(size, size, device=self.items.device)
        shared, own = self.softmax.shared_vectors(self.items), self.items[self.targets]
        mass = self.p[:, len(shared) :].sum(1, keepdim=True)
        packed = mass * own[:, first] * own[:, second]
        for start in range(0, len(shared), _ITEM_BLOCK):
            block = shared[start : start + _ITEM_BLOCK]
            packed += self.p[:, start : start + len(block)] @ (block[:, first] * block[:, second])
        full = self.states.new_empty(len(self.states), size, size)
        full[:, first, second] = packed
        full[:, second, first] = packed
        mean = self._mean(self.items)
        return full - mean[:, :, None] * mean[:, None, :]

    def _mean(self, vectors: Tensor) -> Tensor:
        return self.softmax.mean_vectors(self.p, vectors, self.targets)


def _rows(a: Tensor, b: Tensor) -> Tensor:
    """Compute the inner products [M] float64 of the rows."""
    return (a.to(torch.float64) * b.to(torch.float64)).sum(1)


def state_gradients(
    softmax: CatalogueSoftmax, states: Tensor, items: Tensor, targets: Tensor
) -> Tensor:
    """Compute the gradients [M, d] of the losses by the states, some tokens at a time."""
    states, items = states.detach(), items.detach()
    found = torch.empty_like(states)
    size = FUSED_TOKENS if softmax.fused else max(1, LOGIT_ELEMENTS // softmax.columns)
    for start in range(0, len(states), size):
        part = slice(start, start + size)
        expected = softmax.expected_vectors(states[part], items, targets[part])
        found[part] = expected - items[targets[part]]
    return found


def state_derivatives(
    softmax: CatalogueSoftmax, states: Tensor, items: Tensor, targets: Tensor, d_states: Tensor
) -> Tensor:
    """Compute the derivatives [M] float64 of the losses along [M, d] states, with fixed items."""
    return _rows(state_gradients(softmax, states, items, targets), d_states)


def heads(
    softmax: CatalogueSoftmax,
    states: Tensor,
    items: Tensor,
    targets: Tensor,
    elements: int = LOGIT_ELEMENTS,
) -> Iterator[tuple[slice, Head]]:
    """Yield heads for consecutive slices of [M, d] states; tokens times columns reach ``elements``."""
    size = max(1, elements // softmax.columns)
    for start in range(0, len(states), size):
        part = slice(start, start + size)
        yield part, Head.at(softmax, states[part], items, targets[part])


def curvatures(
    softmax: CatalogueSoftmax,
    states: Tensor,
    items: Tensor,
    targets: Tensor,
    beat: Callable[[], None],
) -> Tensor:
    """Compute :meth:`Head.curvature` of any number of tokens, [M, d, d]; ``beat`` after each round."""
    found = states.new_empty(len(states), states.shape[1], states.shape[1])
    for part, head in heads(softmax, states, items, targets, _CURVATURE_ELEMENTS):
        found[part] = head.curvature()
        beat()
    return found
