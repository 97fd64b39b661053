"""Training losses of surrogates: [M, d] states and [M] target items to one number."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dealrec.config import SurrogateConfig, SurrogateLoss
from dealrec.surrogates.interface import Surrogate, softmax_losses

Loss = Callable[[Surrogate, Tensor, Tensor], Tensor]
"""Model, [M, d] states, [M] targets → the mean loss."""


def make_loss(
    config: SurrogateConfig, frequencies: npt.NDArray[np.int64], device: torch.device
) -> Loss:
    """The loss that ``config`` names; ``frequencies`` [I] count the items of the training set."""
    if config.loss is SurrogateLoss.FULL_SOFTMAX:
        return lambda model, states, targets: softmax_losses(
            states, model.item_vectors(), targets
        ).mean()
    return SampledSoftmax(config.negatives, frequencies, device)


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
        probabilities = smoothed / smoothed.sum()
        self.cumulative = probabilities.cumsum(0)
        self.log_expected = torch.log(probabilities * negatives).to(device, torch.float32)

    def __call__(self, model: Surrogate, states: Tensor, targets: Tensor) -> Tensor:
        """Draws the negatives from torch's global random state (on the CPU, for any device)."""
        points = torch.rand(self.negatives, dtype=torch.float64) * self.cumulative[-1]
        drawn = torch.searchsorted(self.cumulative, points).clamp_max(len(self.cumulative) - 1)
        drawn = drawn.to(states.device)
        vectors = model.vectors_of(torch.cat([targets, drawn]))
        chosen = (states * vectors[: len(targets)]).sum(1)
        others = states @ vectors[len(targets) :].T - self.log_expected[drawn]
        others = others.masked_fill(drawn[None] == targets[:, None], -math.inf)
        return (torch.logaddexp(torch.logsumexp(others, 1), chosen) - chosen).mean()
