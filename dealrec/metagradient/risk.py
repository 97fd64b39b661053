"""The risk of validation users that ``metagradient`` lowers. Preference is chance minus this risk."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dealrec.metagradient.encoder import Parameters, Titles, candidate_logits

_GRID = torch.logspace(-1, 3, 201)
"""The inverse temperatures that are tried, 5 % apart."""


@dataclass(frozen=True)
class ValidationRisk:
    """The cross-entropy, in nats, of picking each user's own title among the user's candidates.

    Logits are multiplied by the inverse temperature at which the risk is lowest, as in
    :func:`~dealrec.metrics.preference.preference_metrics`. At that minimum the risk does not change to
    first order with the temperature, so derivatives treat it as a constant.
    """

    titles: Titles
    """The validation users. The first answer of each is the user's own title."""

    @property
    def chance(self) -> float:
        """The risk of a recommender that learns nothing from histories."""
        return math.log(self.titles.places.shape[1] - self.titles.decays.shape[1])

    def __call__(self, parameters: Parameters) -> Tensor:
        """Return the mean risk over users."""
        logits = candidate_logits(self.titles, parameters)
        return cross_entropy(logits, best_sharpness(logits.detach()))


def cross_entropy(logits: Tensor, sharpness: Tensor | float) -> Tensor:
    """Return the mean cross-entropy over users of logits [U, C] whose own title is in column 0."""
    scaled = sharpness * logits
    return (scaled.logsumexp(1) - scaled[:, 0]).mean()


def best_sharpness(logits: Tensor) -> float:
    """Return the inverse temperature with the lowest cross-entropy."""
    risks = torch.stack([cross_entropy(logits, one) for one in _GRID.to(logits)])
    return float(_GRID[int(risks.argmin())])
