"""Runs a batch in smaller parts when memory does not hold all of it."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

Sample = TypeVar("Sample")


def run_in_halves(batch: Sequence[int], run: Callable[[Sequence[int]], None]) -> int:
    """Call ``run(batch)``; if memory runs out, run its two halves one after the other, recursively.

    ``run`` keeps its own results and is called again for places where it failed. Returns how many
    calls ran out of memory.

    Raises:
        torch.OutOfMemoryError: A single place does not fit into memory.
    """
    try:
        run(batch)
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
    else:
        return 0
    # This is outside the handler because the error keeps the failed batch's tensors alive.
    torch.cuda.empty_cache()
    half = (len(batch) + 1) // 2
    return 1 + run_in_halves(batch[:half], run) + run_in_halves(batch[half:], run)


def run_in_pieces(
    samples: Sequence[Sample], run: Callable[[Sequence[Sample]], Tensor], pieces: int
) -> Tensor:
    """Call ``run`` on at most ``pieces`` consecutive parts of ``samples`` and join its tensors."""
    size = -(-len(samples) // pieces)
    return torch.cat([run(samples[start : start + size]) for start in range(0, len(samples), size)])
