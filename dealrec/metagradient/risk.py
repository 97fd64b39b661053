"""The risk of validation users that a coreset is chosen to lower: what preference is made of."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dealrec.metagradient.encoder import Parameters, Titles, candidate_logits

_GRID = torch.logspace(-1, 3, 201)
"""Inverse temperatures of cosines, 5 % apart."""


@dataclass(frozen=True)
class ValidationRisk:
    """The cross-entropy, in nats, with which users pick their own title among their candidates.

    Logits are sharpened by the one inverse temperature at which the risk is lowest, as
    :func:`~dealrec.metrics.preference.preference_metrics` does. The risk does not change to first order with
    it there, so it counts as a constant in derivatives.
    """

    titles: Titles
    """The users; the own title is the first of the answers."""

    @property
    def chance(self) -> float:
        """The risk of a recommender that reads nothing from histories."""
        return math.log(self.titles.places.shape[1] - self.titles.decays.shape[1])

    def __call__(self, parameters: Parameters) -> Tensor:
        """The mean over users."""
        logits = candidate_logits(self.titles, parameters)
        return cross_entropy(logits, best_sharpness(logits.detach()))


def cross_entropy(logits: Tensor, sharpness: Tensor | float) -> Tensor:
    """The mean over users of [U, C] logits whose own title is in column 0."""
    scaled = sharpness * logits
    return (scaled.logsumexp(1) - scaled[:, 0]).mean()


def best_sharpness(logits: Tensor) -> float:
    """The inverse temperature with the lowest cross-entropy."""
    risks = torch.stack([cross_entropy(logits, one) for one in _GRID.to(logits)])
    return float(_GRID[int(risks.argmin())])
