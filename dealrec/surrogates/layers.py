"""Layers that the surrogates share."""

import torch
from torch import Tensor, nn

LEVELS = 1 << 16
"""A dropout rate is a multiple of one part in this many."""


class Dropout(nn.Module):
    """Sets each number to 0 with probability ``rate`` in training, and scales the others up.

    ``torch.nn.Dropout`` draws one random number an element, which on a processor takes a quarter of
    a training step. Here four elements share one draw of 64 bits, so that the rate is rounded to
    1/65536; the others are scaled by the rounded rate, which leaves the mean as it is.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.dropped = round(rate * LEVELS)

    def forward(self, values: Tensor) -> Tensor:
        """[...] → [...], from the global random state of the device."""
        if not self.training or not self.dropped:
            return values
        draws = torch.empty(-(-values.numel() // 4), dtype=torch.int64, device=values.device)
        draws.random_(-(2**63), None)
        levels = draws.view(torch.int16)[: values.numel()].view(values.shape)
        kept = (levels >= self.dropped - LEVELS // 2).to(values.dtype)
        return values * kept.mul_(LEVELS / (LEVELS - self.dropped))
