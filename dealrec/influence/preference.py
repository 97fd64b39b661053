"""The preference risk: how well states tell whose target is whose, with popularity taken out.

A likelihood is mostly about which items are chosen often. This risk asks each example to find its own
target among those of other examples. With states ``s_u``, their mean ``s̄`` over the examples, and item
vectors ``e_t``, the log-probability ``log p(t | u)`` less its mean over all histories is
``(s_u − s̄)ᵀe_t`` and a constant of ``u``. So the risk is the mean cross-entropy of
``softmax_t(τ (s_u − s̄)ᵀe_t)`` over the candidates ``t`` of ``u``. The temperature ``τ`` is the one that
minimises the risk, so that to first order it does not move with the parameters.

With ``p`` the softmax and ``y`` the own target, the gradient by ``s_u − s̄`` is ``τ Σ_t (p_t − [t = y]) e_t``,
and the gradient by ``s_u`` is that less its mean over the examples. The gradient by ``e_t`` is
``τ Σ_u (p_t − [t = y]) (s_u − s̄)``.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from dealrec.config import SampleLoss
from dealrec.data.dataset import Int64
from dealrec.errors import InputError
from dealrec.influence.examples import Examples
from dealrec.influence.problem import Problem, Tick

CANDIDATES = 16
"""The own target and fifteen of others."""
_CHUNK = 8192
_TEMPERATURES = (math.log(1e-3), math.log(1e3))


@dataclass(frozen=True)
class PreferenceGradient:
    """The gradient of the preference risk over a parameter set."""

    vector: Tensor
    """[P] float64."""
    risk: float
    """Mean cross-entropy in nats."""
    chance: float
    """The risk of a guess: the mean logarithm of the number of candidates."""
    temperature: float

    @property
    def facts(self) -> dict[str, float]:
        """The figures besides the gradient, in nats where they have a unit."""
        return {"risk": self.risk, "chance": self.chance, "temperature": self.temperature}


def preference_gradient(
    problem: Problem, examples: Examples, tick: Tick, *, seed: int = 0
) -> PreferenceGradient:
    """Compute the risk of ``examples`` and its gradient; only their last positions count.

    ``seed`` draws the candidates.

    Raises:
        InputError: ``no_candidates`` if all examples have one target.
    """
    last = dataclasses.replace(examples, loss=SampleLoss.LAST)
    states, items = problem.outputs(last, tick)
    candidates = torch.from_numpy(draw_candidates(last, CANDIDATES, seed)).to(states.device)
    if not bool((candidates[:, 1:] >= 0).any()):
        raise InputError(
            (
                "The risk `preference` needs examples with different targets, but all of these have the "
                "same one. Use `influence.risk: likelihood`."
            ),
            code="no_candidates",
        )
    with torch.no_grad():
        centred = states - states.mean(0)
        found = minimize_scalar(
            lambda log: _risk(centred, items, candidates, math.exp(log)),
            bounds=_TEMPERATURES,
            method="bounded",
        )
        temperature = math.exp(float(found.x))
        by_states, by_items = _by_outputs(centred, items, candidates, temperature)
        chance = float((candidates >= 0).sum(1).double().log().mean())
    vector = problem.pulled(last, by_states - by_states.mean(0), by_items, tick)
    return PreferenceGradient(vector, float(found.fun), chance, temperature)


def draw_candidates(examples: Examples, count: int, seed: int) -> Int64:
    """Draw [E, count] items: each example's own target, then targets of other examples.

    A draw is left out (−1) if it is the own target, an item of the own history, or drawn twice.
    """
    n = len(examples)
    own = examples.items[examples.ends].astype(np.int64)
    drawn = own[np.random.default_rng(seed).integers(n, size=(n, count - 1))]
    rows = np.arange(n)[:, None] * examples.n_items
    lengths = examples.ends - examples.starts
    offsets = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    history = examples.items[np.repeat(examples.starts, lengths) + offsets]
    had = np.isin(rows + drawn, np.repeat(rows[:, 0], lengths) + history)
    order = np.argsort(drawn, axis=1, kind="stable")
    ordered = np.take_along_axis(drawn, order, axis=1)
    again = np.zeros_like(had)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    drawn[had | again | (drawn == own[:, None])] = -1
    return np.concatenate([own[:, None], drawn], axis=1)


def _logits(
    centred: Tensor, items: Tensor, candidates: Tensor, temperature: float
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Iterate over slices of the examples, their candidates' [e, C, d] vectors and [e, C] logits."""
    for start in range(0, len(centred), _CHUNK):
        part = slice(start, start + _CHUNK)
        vectors = items[candidates[part].clamp(min=0)]
        logits = temperature * torch.einsum("ed,ecd->ec", centred[part], vectors)
        yield part, vectors, logits.double().masked_fill(candidates[part] < 0, -torch.inf)


def _risk(centred: Tensor, items: Tensor, candidates: Tensor, temperature: float) -> float:
    parts = _logits(centred, items, candidates, temperature)
    total = sum(float((logits.logsumexp(1) - logits[:, 0]).sum()) for _, _, logits in parts)
    return total / len(centred)


def _by_outputs(
    centred: Tensor, items: Tensor, candidates: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Compute the gradients of the risk by the centred states [E, d] and by the items [I, d]."""
    by_states, by_items = torch.empty_like(centred), torch.zeros_like(items)
    for part, vectors, logits in _logits(centred, items, candidates, temperature):
        errors = logits.softmax(1)
        errors[:, 0] -= 1
        errors = (errors * (temperature / len(centred))).to(centred.dtype)
        by_states[part] = torch.einsum("ec,ecd->ed", errors, vectors)
        outer = errors[:, :, None] * centred[part, None]
        by_items.index_add_(0, candidates[part].clamp(min=0).flatten(), outer.flatten(0, 1))
    return by_states, by_items
