"""Training losses of surrogates: [M, d] states and [M] target items to one number.

Negatives are drawn from torch's global random state (on the CPU, for any device).
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from dealrec.config import SurrogateConfig, SurrogateLoss
from dealrec.surrogates.interface import Surrogate, softmax_losses

Loss = Callable[[Surrogate, Tensor, Tensor], Tensor]
"""Model, [M, d] states, [M] targets → the mean loss."""


def make_loss(
    config: SurrogateConfig, frequencies: npt.NDArray[np.int64], device: torch.device
) -> Loss:
    """The loss that ``config`` names; ``frequencies`` [I] count the items of the training set."""
    match config.loss:
        case SurrogateLoss.FULL_SOFTMAX:
            return full_softmax
        case SurrogateLoss.SAMPLED_SOFTMAX:
            return SampledSoftmax(config.negatives, frequencies, device)
        case SurrogateLoss.GBCE:
            return CalibratedCrossEntropy(config.negatives, config.calibration, len(frequencies))
        case SurrogateLoss.BCE:
            return binary_cross_entropy


def full_softmax(model: Surrogate, states: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy over the catalogue."""
    return softmax_losses(states, model.item_vectors(), targets).mean()


class SampledSoftmax:
    """Softmax over the target and negatives that a batch shares, corrected for how they are drawn.

    ``K`` negatives are drawn with replacement with probability ``q_i``, in proportion to the item's
    training frequency plus one. A negative's logit is lowered by ``log(K q_i)``, so that the sum
    over negatives is an unbiased estimate of the sum over the catalogue (Bengio and Senécal, 2008);
    a negative that is the target does not count against it.
    """

    def __init__(
        self, negatives: int, frequencies: npt.NDArray[np.int64], device: torch.device
    ) -> None:
        self.negatives = negatives
        smoothed = torch.from_numpy(frequencies + 1.0)
        self.probabilities = smoothed / smoothed.sum()
        self.cumulative = self.probabilities.cumsum(0)
        self.log_expected = torch.log(self.probabilities * negatives).to(device, torch.float32)

    def __call__(self, model: Surrogate, states: Tensor, targets: Tensor) -> Tensor:
        """The mean over positions, with fresh negatives."""
        points = torch.rand(self.negatives, dtype=torch.float64) * self.cumulative[-1]
        drawn = torch.searchsorted(self.cumulative, points).clamp_max(len(self.cumulative) - 1)
        return self.against(drawn.to(states.device), model, states, targets)

    def against(self, drawn: Tensor, model: Surrogate, states: Tensor, targets: Tensor) -> Tensor:
        """The mean over positions, with the [K] negatives ``drawn``."""
        correction = -self.log_expected[drawn].to(states.dtype)
        chosen, others = _logits(drawn, model, states, targets, correction)
        others = others.masked_fill_(drawn[None] == targets[:, None], -math.inf)
        return -torch.cat([chosen[:, None], others], 1).log_softmax(1)[:, 0].mean()


class CalibratedCrossEntropy:
    """gBCE (Petrov and Macdonald, RecSys 2023, arXiv 2308.07192) with negatives that a batch shares.

    ``−(β log σ(s⁺) + Σ log(1 − σ(s⁻))) / (K + 1)`` with ``β = α (t (1 − 1/α) + 1/α)``, where ``K``
    negatives are drawn uniformly, ``α = K / (I − 1)`` is the share of the catalogue that they are
    (at most 1), and ``t`` is the calibration. A negative that is the target does not count.
    """

    def __init__(self, negatives: int, calibration: float, n_items: int) -> None:
        self.negatives, self.n_items = negatives, n_items
        sampled = min(1.0, negatives / max(1, n_items - 1))
        self.beta = sampled * (calibration * (1 - 1 / sampled) + 1 / sampled)

    def __call__(self, model: Surrogate, states: Tensor, targets: Tensor) -> Tensor:
        """The mean over positions, with fresh negatives."""
        drawn = torch.randint(self.n_items, (self.negatives,)).to(states.device)
        return self.against(drawn, model, states, targets)

    def against(self, drawn: Tensor, model: Surrogate, states: Tensor, targets: Tensor) -> Tensor:
        """The mean over positions, with the [K] negatives ``drawn``."""
        chosen, others = _logits(drawn, model, states, targets, states.new_zeros(len(drawn)))
        others = logsigmoid(-others).masked_fill(drawn[None] == targets[:, None], 0.0)
        return -(self.beta * logsigmoid(chosen) + others.sum(1)).mean() / (len(drawn) + 1)


def binary_cross_entropy(model: Surrogate, states: Tensor, targets: Tensor) -> Tensor:
    """``−log σ(s⁺) − log(1 − σ(s⁻))`` with one uniform negative, never the target, a position."""
    steps = torch.randint(1, max(2, model.n_items), targets.shape).to(targets.device)
    negatives = (targets + steps) % model.n_items
    vectors = model.vectors_of(torch.stack([targets, negatives]))
    chosen, other = (states * vectors).sum(2)
    return -(logsigmoid(chosen) + logsigmoid(-other)).mean()


def _logits(
    drawn: Tensor, model: Surrogate, states: Tensor, targets: Tensor, added: Tensor
) -> tuple[Tensor, Tensor]:
    """[M] of the targets; [M, K] of the negatives, with ``added`` [K]; from one lookup of vectors."""
    vectors = model.vectors_of(torch.cat([targets, drawn]))
    chosen = (states * vectors[: len(targets)]).sum(1)
    return chosen, torch.addmm(added, states, vectors[len(targets) :].T)
