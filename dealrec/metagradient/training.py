"""Trains the small recommender, and differentiates the result of the training by the weight of every sample.

The derivative follows MAGIC (Ilyas and Engstrom 2025, arXiv 2504.16430): the steps are replayed from last
to first, and the adjoint of the parameters and of Adam's moments is pulled back through each of them. It
is exact for the training as it was run. Samples outside the coreset have weight 0: they change no step,
and their derivative says what a small weight would change.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from dealrec.config.finetune import FinetuneConfig
from dealrec.finetune.schedule import Schedule
from dealrec.metagradient.encoder import (
    Parameters,
    Titles,
    weight_slopes_along,
    weighted_loss,
)

_BETAS, _EPSILON = (0.9, 0.999), 1e-8

AT_ONCE = 4096
"""The largest number of samples outside the coreset that are processed at once, which limits memory."""

Metric = Callable[[Parameters], Tensor]


class State(NamedTuple):
    """The projection, and Adam's two moments of each of its parameters."""

    weight: Tensor
    bias: Tensor
    weight_mean: Tensor
    bias_mean: Tensor
    weight_square: Tensor
    bias_square: Tensor

    @property
    def parameters(self) -> Parameters:
        """The projection alone."""
        return Parameters(self.weight, self.bias)


class Step(NamedTuple):
    """The inputs of an optimizer step besides the state."""

    number: int
    """The number of the step, from 1."""
    learning_rate: float
    members: Tensor
    """[b] the samples that the step trains on."""
    others: Tensor
    """[c] the samples whose derivative is computed, but on which the step does not train."""

    @property
    def samples(self) -> Tensor:
        """[b + c] all of these samples, those of the training first."""
        return torch.cat([self.members, self.others])


@dataclass(frozen=True)
class Training:
    """The same training of the projection that :class:`~dealrec.finetune.trainer.LoraTraining` runs.

    The steps are the same and in the same order. Unlike there, the derivative of Adam's square root is
    finite at 0.
    """

    titles: Titles
    start: Parameters
    config: FinetuneConfig
    looks: int = 4
    """The derivative of a sample outside the coreset is computed in one of this many epochs and
    multiplied by this number, which saves time."""

    def with_seed(self, seed: int) -> "Training":
        """Return the same training with another order of the samples."""
        return replace(self, config=self.config.model_copy(update={"seed": seed}))

    def steps(self, members: Tensor, others: Tensor) -> Iterator[Step]:
        """Yield the steps of a training on ``members`` [m], with derivatives for ``others`` [o] too."""
        schedule = Schedule(self.config, len(members))
        times = self.config.encoder.learning_rate / self.config.learning_rate
        generator = torch.Generator().manual_seed(self.config.seed)
        parts = schedule.steps_per_epoch * self._looks
        for step in range(schedule.steps):
            if step % parts == 0:
                order = others[torch.randperm(len(others), generator=generator)]
                shares = torch.tensor_split(order, parts)
            taken = members[schedule.batch(step)]
            yield Step(step + 1, times * schedule.learning_rate(step), taken, shares[step % parts])

    @property
    def _looks(self) -> int:
        return min(self.looks, self.config.epochs)

    def run(
        self, members: Tensor, others: Tensor, weights: Tensor | None = None, every: int = 1
    ) -> tuple[State, list[State]]:
        """Train, and return the last state and, of the states before each step, every ``every``-th one.

        By default ``weights`` [n] are 1 for members and 0 for others.
        """
        state, kept = self._initial(), []
        for step in self.steps(members, others):
            if (step.number - 1) % every == 0:
                kept.append(state)
            state = self._advanced(state, step, weights)
        return state, kept

    def metagradient(
        self,
        members: Tensor,
        others: Tensor,
        metric: Metric,
        on_step: Callable[[], None] = lambda: None,
    ) -> tuple[float, Tensor]:
        """Return the metric after the training, and its derivative [n] by the weight of each sample.

        The derivative is 0 for samples that are neither ``members`` nor ``others``. To save memory, only
        the states before every √T-th of the ``T`` steps are kept, and those in between are computed
        again. ``on_step`` is called before each step of the backward pass.
        """
        steps = list(self.steps(members, others))
        every = max(1, math.isqrt(len(steps)))
        last, kept = self.run(members, others, every=every)
        parameters = _leaves(last.parameters)
        value = metric(parameters)
        gradient = torch.autograd.grad(value, parameters)
        adjoint = State(*gradient, *(torch.zeros_like(one) for one in last[2:]))
        by_weights = torch.zeros(len(self.titles), dtype=last.weight.dtype)
        for first in range(every * (len(kept) - 1), -1, -every):
            states = [kept.pop()]
            for step in steps[first : first + every - 1]:
                states.append(self._advanced(states[-1], step))
            for step in reversed(steps[first : first + len(states)]):
                on_step()
                adjoint = self._pulled_back(states.pop(), step, adjoint, by_weights)
        return float(value.detach()), by_weights

    def _initial(self) -> State:
        zeros = [torch.zeros_like(one) for one in (*self.start, *self.start)]
        return State(*self.start, *zeros)

    def _advanced(self, state: State, step: Step, weights: Tensor | None = None) -> State:
        parameters = _leaves(state.parameters)
        if weights is None:
            gradient = self._gradient(parameters, step.members)
        else:
            gradient = self._gradient(parameters, step.samples, weights[step.samples])
        with torch.no_grad():
            return self._moved(state, gradient, step)

    def _gradient(
        self,
        parameters: Parameters,
        part: Tensor,
        weights: Tensor | None = None,
        *,
        graph: bool = False,
    ) -> tuple[Tensor, ...]:
        weights = parameters.weight.new_ones(len(part)) if weights is None else weights
        loss = weighted_loss(
            self.titles, parameters, part, weights, self.config.encoder.temperature
        )
        return torch.autograd.grad(loss, parameters, create_graph=graph)

    def _moved(self, state: State, gradient: tuple[Tensor, ...], step: Step) -> State:
        """Take one step of Adam with a clipped gradient. It is differentiable, at a gradient of zero too."""
        norm = (sum(one.square().sum() for one in gradient) + 1e-30) ** 0.5
        share = (self.config.max_gradient_norm / (norm + 1e-6)).clamp(max=1.0)
        moved, means, squares = [], [], []
        for value, one, old_mean, old_square in zip(
            state[:2], gradient, state[2:4], state[4:], strict=True
        ):
            mean = _BETAS[0] * old_mean + (1 - _BETAS[0]) * share * one
            square = _BETAS[1] * old_square + (1 - _BETAS[1]) * (share * one) ** 2
            unbiased = square / (1 - _BETAS[1] ** step.number)
            size = (unbiased + _EPSILON**2).sqrt() + _EPSILON
            speed = step.learning_rate / (1 - _BETAS[0] ** step.number)
            moved.append(value - speed * mean / size)
            means.append(mean)
            squares.append(square)
        return State(*moved, *means, *squares)

    def _pulled_back(self, state: State, step: Step, adjoint: State, by_weights: Tensor) -> State:
        """Return the adjoint of the state before the step; add derivatives by weight to ``by_weights``."""
        parameters = _leaves(state.parameters)
        gradient = self._gradient(parameters, step.members, graph=True)
        leaves = [one.detach().requires_grad_() for one in (*state, *gradient)]
        after = self._moved(State(*leaves[:6]), tuple(leaves[6:]), step)
        *before, weight, bias = torch.autograd.grad(after, leaves, adjoint)
        by_loss = torch.autograd.grad(gradient, parameters, (weight, bias))
        with torch.no_grad():
            inside = len(step.members)
            for others in torch.split(step.others, AT_ONCE):
                slopes = weight_slopes_along(
                    self.titles,
                    state.parameters,
                    Parameters(weight, bias),
                    torch.cat([step.members, others]),
                    inside,
                    self.config.encoder.temperature,
                )
                by_weights[others] += self._looks * slopes[inside:]
            by_weights[step.members] += slopes[:inside]  # equal for all parts of the others
        return State(before[0] + by_loss[0], before[1] + by_loss[1], *before[2:])


def _leaves(parameters: Parameters) -> Parameters:
    return Parameters(*(one.detach().requires_grad_() for one in parameters))
