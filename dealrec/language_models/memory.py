"""Batches that an accelerator's memory may not hold."""

from collections.abc import Callable, Sequence

import torch


def run_in_halves(batch: Sequence[int], run: Callable[[Sequence[int]], None]) -> int:
    """``run(batch)``; where memory does not hold it, its halves after each other, down to one.

    ``run`` keeps what it makes itself, and is called again for the same places where it failed.
    Gives back how often it did. Raises ``torch.OutOfMemoryError`` where a single one does not fit.
    """
    try:
        run(batch)
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
    else:
        return 0
    # Outside the handler: the error keeps the failed batch's tensors alive.
    torch.cuda.empty_cache()
    half = (len(batch) + 1) // 2
    return 1 + run_in_halves(batch[:half], run) + run_in_halves(batch[half:], run)
