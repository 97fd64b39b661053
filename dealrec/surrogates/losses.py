"""Training losses of surrogates, which map [M, d] states and [M] target items to one number.

Negatives are drawn from torch's global random state on the CPU, for any device.
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
"""Maps a model, [M, d] states and [M] targets to the mean loss."""


def make_loss(
    config: SurrogateConfig, frequencies: npt.NDArray[np.int64], device: torch.device
) -> Loss:
    """Return the loss that ``config`` names; ``frequencies`` [I] count the items in training."""
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
    """Compute the mean cross-entropy over the catalogue."""
    return softmax_losses(states, model.item_vectors(), targets).mean()


class SampledSoftmax:
    """Softmax over the target and the batch's shared negatives, corrected for their sampling.

    ``K`` negatives are drawn with replacement, with probabilities ``q_i`` in proportion to the
    training frequency plus one. The logit of a negative is lowered by ``log(K q_i)``, so that the sum
    over negatives is an unbiased estimate of the sum over the catalogue (Bengio and Senécal, 2008).
    A negative that equals the target is left out.
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
        """Compute the mean loss over positions with fresh negatives."""
        points = torch.rand(self.negatives, dtype=torch.float64) * self.cumulative[-1]
        drawn = torch.searchsorted(self.cumulative, points).clamp_max(len(self.cumulative) - 1)
        return self.against(drawn.to(states.device), model, states, targets)

    def against(self, drawn: Tensor, model: Surrogate, states: Tensor, targets: Tensor) -> Tensor:
        """Compute the mean loss over positions with the [K] negatives ``drawn``."""
        correction = -self.log_expected[drawn].to(states.dtype)
        chosen, others = _logits(drawn, model, states, targets, correction)
        others = others.masked_fill_(drawn[None] == targets[:, None], -math.inf)
        return -torch.cat([chosen[:, None], others], 1).log_softmax(1)[:, 0].mean()


class CalibratedCrossEntropy:
    """gBCE (Petrov and Macdonald, RecSys 2023, arXiv 2308.07192) with negatives shared by a batch.

    The loss is ``−(β log σ(s⁺) + Σ log(1 − σ(s⁻))) / (K + 1)`` with ``β = α (t (1 − 1/α) + 1/α)``. The
    ``K`` negatives are drawn uniformly, ``α = K / (I − 1)``, at most 1, is their share of the
    catalogue, and ``t`` is the calibration. A negative that equals the target is left out.
    """

    def __init__(self, negatives: int, calibration: float, n_items: int) -> None:
        self.negatives, self.n_items = negatives, n_items
        sampled = min(1.0, negatives / max(1, n_items - 1))
        self.beta = sampled * (calibration * (1 - 1 / sampled) + 1 / sampled)

    def __call__(self, model: Surrogate, states: Tensor, targets: Tensor) -> Tensor:
        """Compute the mean loss over positions with fresh negatives."""
        drawn = torch.randint(self.n_items, (self.negatives,)).to(states.device)
        return self.against(drawn, model, states, targets)

    def against(self, drawn: Tensor, model: Surrogate, states: Tensor, targets: Tensor) -> Tensor:
        """Compute the mean loss over positions with the [K] negatives ``drawn``."""
        chosen, others = _logits(drawn, model, states, targets, states.new_zeros(len(drawn)))
        others = logsigmoid(-others).masked_fill(drawn[None] == targets[:, None], 0.0)
        return -(self.beta * logsigmoid(chosen) + others.sum(1)).mean() / (len(drawn) + 1)


def binary_cross_entropy(model: Surrogate, states: Tensor, targets: Tensor) -> Tensor:
    """Compute the mean of ``−log σ(s⁺) − log(1 − σ(s⁻))`` with one uniform negative per position.

    The negative is never the target.
    """
    steps = torch.randint(1, max(2, model.n_items), targets.shape).to(targets.device)
    negatives = (targets + steps) % model.n_items
    vectors = model.vectors_of(torch.stack([targets, negatives]))
    chosen, other = (states * vectors).sum(2)
    return -(logsigmoid(chosen) + logsigmoid(-other)).mean()


def _logits(
    drawn: Tensor, model: Surrogate, states: Tensor, targets: Tensor, added: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute the logits of the targets [M] and of the negatives plus ``added`` [K], [M, K]."""
    vectors = model.vectors_of(torch.cat([targets, drawn]))
    chosen = (states * vectors[: len(targets)]).sum(1)
    return chosen, torch.addmm(added, states, vectors[len(targets) :].T)
