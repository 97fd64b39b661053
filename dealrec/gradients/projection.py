"""A seeded random projection of long gradients that keeps inner products."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dealrec.effort.gradients import Measurement


class Sketch:
    """Adds every number of a gradient, with a random sign, to one of ``k`` random places.

    This is the count sketch (Charikar et al. 2002; as feature hashing, Weinberger et al., ICML 2009,
    arXiv 0902.2206). The inner product of two projected vectors equals that of the vectors in
    expectation, with a variance of about ``(‖a‖²‖b‖² + (a·b)²) / k``. A dense Gaussian projection
    has the same variance, but needs a matrix and ``k`` multiplications per number instead of one
    addition. A gradient of at most ``k`` numbers is not projected. The places and signs follow from
    the seed and the sizes of the parameters alone.
    """

    def __init__(self, dimension: int, seed: int) -> None:
        self._dimension = dimension
        self._seed = seed
        self._drawn: list[tuple[Tensor, Tensor]] = []

    def width(self, numbers: int) -> int:
        """Return the size of the projection of a gradient of so many ``numbers``."""
        return min(numbers, self._dimension)

    def __call__(self, measured: Sequence[Measurement]) -> Tensor:
        """Project the gradients of a batch to [b, width] float32."""
        sizes = [size for one in measured for size in one.sizes]
        if sum(sizes) <= self._dimension:
            return torch.cat([part for one in measured for part in one.gradients()], 1)
        found: Tensor | None = None
        number = 0
        for one in measured:
            for part in one.gradients():
                if not self._drawn:  # two threads that come here at once draw the same
                    self._drawn = self._draw(sizes, part.device)
                places, signs = self._drawn[number]
                if found is None:
                    found = part.new_zeros(len(part), self._dimension)
                found.index_add_(1, places, part * signs)
                number += 1
        assert found is not None
        return found

    def _draw(self, sizes: Sequence[int], device: torch.device) -> list[tuple[Tensor, Tensor]]:
        drawn = []
        generator = torch.Generator().manual_seed(self._seed)
        for size in sizes:
            places = torch.randint(self._dimension, (size,), generator=generator)
            signs = torch.randint(2, (size,), generator=generator).float() * 2 - 1
            drawn.append((places.to(device), signs.to(device)))
        return drawn
