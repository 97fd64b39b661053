"""What the softmax over item vectors makes of states: derivatives of losses written out.

With ``s`` a token's state, ``E`` the item vectors, ``y`` the target and ``p = softmax(Es)``, the loss
is ``logsumexp(Es) − e_yᵀs``. So along ``(ds, dE)`` the logits move by ``t = E ds + dE s``, the loss by
``pᵀt − t_y = (Eᵀp − e_y)ᵀds + sᵀ(dEᵀp − de_y)``, and the Gauss-Newton matrix takes ``t`` to
``(diag(p) − ppᵀ) t``. Automatic differentiation holds several matrices of tokens times items for
each of these; written out it is one or two.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dealrec.influence.examples import LOGIT_ELEMENTS
from dealrec.influence.softmax import CatalogueSoftmax

FUSED_TOKENS = 2048
"""Tokens of one round of the fused kernel, which takes larger blocks from 768 tokens on."""
ITEM_BLOCK = 4096
"""Items whose products of coordinates are held at once."""
CURVATURE_ELEMENTS = 1 << 24
"""Tokens times columns of one round over the items' products: each round makes all of these anew."""


@dataclass(frozen=True)
class Head:
    """The softmax at ``M`` tokens."""

    softmax: CatalogueSoftmax
    states: Tensor
    """[M, d]."""
    items: Tensor
    """[I, d]."""
    targets: Tensor
    """[M]."""
    p: Tensor
    """[M, columns]."""

    @classmethod
    def at(
        cls, softmax: CatalogueSoftmax, states: Tensor, items: Tensor, targets: Tensor
    ) -> "Head":
        """Its probabilities are computed here, once."""
        with torch.no_grad():
            p = softmax.logits(states, items, targets).softmax(1)
        return cls(softmax, states.detach(), items.detach(), targets, p)

    def state_gradients(self) -> Tensor:
        """[M, d], of each token's loss: the expected item vector less the target's.

        :func:`state_gradients` is faster where nothing else is asked of the probabilities.
        """
        return self._mean(self.items) - self.items[self.targets]

    def item_gradients(self, weights: Tensor) -> Tensor:
        """[I, d], of the sum of the losses times [M] ``weights``."""
        return self.add_item_gradients(torch.zeros_like(self.items), weights)

    def add_item_gradients(self, total: Tensor, weights: Tensor) -> Tensor:
        """:meth:`item_gradients` onto [I, d] ``total``, which is given back."""
        weighted = self.states * weights[:, None]
        self.softmax.spread_into(total, self.p, weighted, self.targets)
        return total.index_add_(0, self.targets, -weighted.to(total.dtype))

    def derivatives(self, d_states: Tensor, d_items: Tensor) -> Tensor:
        """[M] float64, of each token's loss along [M, d] and [I, d]."""
        return _rows(self.state_gradients(), d_states) + self.item_derivatives(d_items)

    def item_derivatives(self, d_items: Tensor) -> Tensor:
        """[M] float64, of each token's loss along [I, d], where states stay."""
        return _rows(self.states, self._mean(d_items) - d_items[self.targets])

    def bend(self, d_states: Tensor, d_items: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """[M, d], [I, d]: the Gauss-Newton product, each token's times its weight."""
        t = self.softmax.products(d_states, self.items, self.targets)
        t += self.softmax.products(self.states, d_items, self.targets)
        t -= (self.p * t).sum(1, keepdim=True)
        t *= self.p
        t *= weights[:, None]
        bent = self.softmax.mean_vectors(t, self.items, self.targets)
        return bent, self.softmax.spread(t, self.states, self.targets, len(self.items))

    def bend_items(self, d_items: Tensor, weights: Tensor) -> Tensor:
        """[I, d]: the Gauss-Newton product where states stay, each token's times its weight."""
        t = self.softmax.products(self.states, d_items, self.targets)
        t -= torch.linalg.vecdot(self.p, t)[:, None]
        t *= self.p
        weighted = self.states * weights[:, None]
        return self.softmax.spread(t, weighted, self.targets, len(self.items))

    def curvature(self) -> Tensor:
        """[M, d, d], ``Eᵀ(diag(p) − ppᵀ)E``: all of the Gauss-Newton matrix where items stay.

        The first part is a product of the probabilities with the items' products of coordinates.
        """
        size = self.items.shape[1]
        first, second = torch.triu_indices(size, size, device=self.items.device)
        shared, own = self.softmax.shared_vectors(self.items), self.items[self.targets]
        mass = self.p[:, len(shared) :].sum(1, keepdim=True)
        packed = mass * own[:, first] * own[:, second]
        for start in range(0, len(shared), ITEM_BLOCK):
            block = shared[start : start + ITEM_BLOCK]
            packed += self.p[:, start : start + len(block)] @ (block[:, first] * block[:, second])
        full = self.states.new_empty(len(self.states), size, size)
        full[:, first, second] = packed
        full[:, second, first] = packed
        mean = self._mean(self.items)
        return full - mean[:, :, None] * mean[:, None, :]

    def _mean(self, vectors: Tensor) -> Tensor:
        return self.softmax.mean_vectors(self.p, vectors, self.targets)


def _rows(a: Tensor, b: Tensor) -> Tensor:
    """[M] float64, the inner products of rows."""
    return (a.to(torch.float64) * b.to(torch.float64)).sum(1)


def state_gradients(
    softmax: CatalogueSoftmax, states: Tensor, items: Tensor, targets: Tensor
) -> Tensor:
    """[M, d], of each token's loss at [M, d] states, in rounds."""
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
    """[M] float64, of each token's loss along [M, d], where items stay."""
    return _rows(state_gradients(softmax, states, items, targets), d_states)


def heads(
    softmax: CatalogueSoftmax,
    states: Tensor,
    items: Tensor,
    targets: Tensor,
    elements: int = LOGIT_ELEMENTS,
) -> Iterator[tuple[slice, Head]]:
    """The head at [M, d] states, a slice of them at a time: ``elements`` are tokens times columns."""
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
    """[M, d, d], :meth:`Head.curvature` of any number of tokens; ``beat`` after each round."""
    found = states.new_empty(len(states), states.shape[1], states.shape[1])
    for part, head in heads(softmax, states, items, targets, CURVATURE_ELEMENTS):
        found[part] = head.curvature()
        beat()
    return found
