"""Applies a :class:`~dealrec.config.runtime.Runtime` to torch and to the allocator."""

import ctypes
from functools import cache

import torch

from dealrec.config.runtime import Runtime

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Of ``mallopt`` (glibc's ``malloc.h``)."""


def apply_runtime(runtime: Runtime) -> torch.device:
    """Set torch's threads and determinism for this process; gives back the device to work on."""
    torch.set_num_threads(runtime.resolved_threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    _keep_blocks()
    if runtime.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(runtime.device)


@cache
def _keep_blocks() -> None:
    """Let glibc use freed blocks of up to 32 MiB again instead of giving them back to the system.

    By default it maps such blocks afresh, or does not, by what the process freed before; where it
    does, the system clears every page again, and passes over logits take twice as long. Other
    allocators have no such call and need none.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(_MMAP_THRESHOLD, 32 << 20)
    mallopt(_TRIM_THRESHOLD, 1 << 30)
