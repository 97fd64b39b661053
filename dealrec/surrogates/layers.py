"""Layers that the surrogates share."""

import torch
from torch import Tensor, nn

_LEVELS = 1 << 16
"""The number of levels of a dropout rate, which is rounded to a multiple of ``1 / _LEVELS``."""


class Dropout(nn.Module):
    """Sets each number to 0 with probability ``rate`` in training, and scales up the others.

    ``torch.nn.Dropout`` draws one random number per element, which takes a quarter of a training
    step on a CPU. In this class four elements share one draw of 64 bits, so the rate is rounded to
    1/65536. The scale follows from the rounded rate, so the mean does not change.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.dropped = round(rate * _LEVELS)

    def forward(self, values: Tensor) -> Tensor:
        """Map values [...] to values [...], with draws from the device's global random state."""
        if not self.training or not self.dropped:
            return values
        draws = torch.empty(-(-values.numel() // 4), dtype=torch.int64, device=values.device)
        draws.random_(-(2**63), None)
        levels = draws.view(torch.int16)[: values.numel()].view(values.shape)
        kept = (levels >= self.dropped - _LEVELS // 2).to(values.dtype)
        return values * kept.mul_(_LEVELS / (_LEVELS - self.dropped))
