"""A small recommender whose training is differentiated by the weights of its samples.

The recommender scores title ``t`` after a history by ``x̄ᵀx_t + (A x̄)ᵀ(B x_t)``, where ``x`` are frozen states
of titles in a language model, ``x̄`` is the mean of the history, and ``A`` and ``B`` are trained. ``B`` begins
at zero, as LoRA does, so that training begins with what the language model knows.

The derivative is that of MAGIC (Ilyas and Engstrom 2025, arXiv 2504.16430): every step of the training is
replayed from its kept state, last to first, and the adjoint of the parameters and of Adam's moments is
pulled back through it. It is exact for the training as it was run.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

RANK, NEGATIVES = 32, 512
_BETAS, _TINY = (0.9, 0.99), 1e-6


class State(NamedTuple):
    """``A`` and ``B`` [RANK, h], and Adam's two moments of each."""

    a: Tensor
    b: Tensor
    a1: Tensor
    b1: Tensor
    a2: Tensor
    b2: Tensor


@dataclass(frozen=True)
class Samples:
    """``n`` samples as vectors."""

    histories: Tensor
    """[n, h]."""
    targets: Tensor
    """[n] items."""


@dataclass(frozen=True)
class Training:
    """A training on weighted samples: epochs over all of them, in an order and with negatives by seed."""

    items: Tensor
    """[I, h] frozen states of titles."""
    samples: Samples
    epochs: int
    steps_an_epoch: int
    learning_rate: float
    seed: int

    def initial(self) -> State:
        """``A`` is drawn, all else is zero."""
        width = self.items.shape[1]
        generator = torch.Generator().manual_seed(self.seed)
        zeros = torch.zeros(RANK, width, dtype=self.items.dtype)
        a = torch.randn(RANK, width, generator=generator).to(self.items.dtype) / width**0.5
        return State(a, zeros, zeros, zeros, zeros, zeros)

    def batches(self) -> Iterator[tuple[int, Tensor, Tensor]]:
        """The number of each step, its samples, and its negative items."""
        generator = torch.Generator().manual_seed(self.seed + 1)
        number = 0
        for _ in range(self.epochs):
            order = torch.randperm(len(self.samples.targets), generator=generator)
            for part in torch.tensor_split(order, self.steps_an_epoch):
                number += 1
                yield (
                    number,
                    part,
                    torch.randint(len(self.items), (NEGATIVES,), generator=generator),
                )

    def step(
        self, state: State, weights: Tensor, number: int, part: Tensor, negatives: Tensor
    ) -> State:
        """One step of Adam on the weighted mean loss; differentiable by ``state`` and ``weights`` [n]."""
        own = weights[part]
        gradients = torch.autograd.grad(
            (own * self._losses(state, part, negatives)).sum() / own.sum().clamp(min=1),
            (state.a, state.b),
            create_graph=True,
        )
        moved = [
            self._adam(*one, number)
            for one in zip(state[:2], gradients, state[2:4], state[4:], strict=True)
        ]
        (a, a1, a2), (b, b1, b2) = moved
        return State(a, b, a1, b1, a2, b2)

    def run(self, weights: Tensor) -> list[State]:
        """Every state of the training, the first and the last included, without graphs."""
        states = [self.initial()]
        for number, part, negatives in self.batches():
            before = State(*(value.detach().requires_grad_() for value in states[-1]))
            after = self.step(before, weights, number, part, negatives)
            states.append(State(*(value.detach() for value in after)))
        return states

    def metagradient(
        self, weights: Tensor, metric: Callable[[State], Tensor]
    ) -> tuple[float, Tensor]:
        """The metric of the trained state, and its derivative [n] by the samples' weights."""
        states = self.run(weights)
        last = State(*(value.requires_grad_() for value in states.pop()))
        value = metric(last)
        found = torch.autograd.grad(value, last, allow_unused=True)
        adjoint = [
            torch.zeros_like(v) if g is None else g for v, g in zip(last, found, strict=True)
        ]
        total = torch.zeros_like(weights)
        for number, part, negatives in reversed(list(self.batches())):
            before = State(*(value.detach().requires_grad_() for value in states.pop()))
            asked = weights.detach().clone().requires_grad_()
            after = self.step(before, asked, number, part, negatives)
            *adjoint, by_weights = torch.autograd.grad(after, (*before, asked), adjoint)
            total += by_weights
        return float(value.detach()), total

    def _losses(self, state: State, part: Tensor, negatives: Tensor) -> Tensor:
        """[b] cross-entropies of the target among itself and the drawn items."""
        histories, targets = self.samples.histories[part], self.samples.targets[part]
        queries = histories + histories @ state.a.T @ state.b
        own = (queries * self.items[targets]).sum(1, keepdim=True)
        others = queries @ self.items[negatives].T
        others = others.masked_fill(negatives == targets[:, None], -torch.inf)
        return torch.cat([own, others], 1).logsumexp(1) - own[:, 0]

    def _adam(
        self, value: Tensor, gradient: Tensor, first: Tensor, second: Tensor, number: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        first = _BETAS[0] * first + (1 - _BETAS[0]) * gradient
        second = _BETAS[1] * second + (1 - _BETAS[1]) * gradient**2
        mean, square = first / (1 - _BETAS[0] ** number), second / (1 - _BETAS[1] ** number)
        # The square root is of a number above zero, so that its derivative is finite.
        return value - self.learning_rate * mean / (square + _TINY**2).sqrt(), first, second


@dataclass(frozen=True)
class Asked:
    """``U`` held-out users with their candidates, the own target first."""

    histories: Tensor
    """[U, h]."""
    candidates: Tensor
    """[U, C] items; −1 where a draw was left out."""

    def logits(self, state: State, items: Tensor) -> Tensor:
        """[U, C] scores of the candidates less the mean of each over all histories."""
        centred = self.histories - self.histories.mean(0)
        queries = centred + centred @ state.a.T @ state.b
        found = torch.einsum("uh,uch->uc", queries, items[self.candidates.clamp(min=0)])
        return found.masked_fill(self.candidates < 0, -torch.inf)

    def take(self, users: np.ndarray) -> "Asked":
        """Some of the users."""
        return Asked(self.histories[users], self.candidates[users])


def cross_entropies(logits: Tensor, temperature: Tensor | float) -> Tensor:
    """[U] of the own target among the candidates."""
    scaled = temperature * logits
    return scaled.logsumexp(1) - scaled[:, 0]


def fitted_temperature(logits: Tensor) -> float:
    """The temperature with the least cross-entropy."""
    grid = torch.logspace(-3, 2, 251)
    risks = torch.stack([cross_entropies(logits, one).mean() for one in grid])
    return float(grid[int(risks.argmin())])
