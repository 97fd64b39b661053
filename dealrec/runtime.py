"""Applies a :class:`~dealrec.config.runtime.Runtime` to torch and to the allocator."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from dealrec.config.runtime import Runtime

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Of ``mallopt`` (glibc's ``malloc.h``)."""


def apply_runtime(runtime: Runtime) -> torch.device:
    """Set torch's threads and determinism for this process; gives back the device to work on."""
    torch.set_num_threads(runtime.resolved_threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # For finding uses of memory that nothing was written to; a kernel more for every new tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # Its gradients differ from run to run, and its error for want of memory says nothing of memory.
    torch.backends.cuda.enable_cudnn_sdp(False)
    _keep_blocks()
    if runtime.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(runtime.device)


@contextmanager
def repeatable_attention(device: torch.device) -> Iterator[None]:
    """Attention whose gradients are the same each time, for scores that decide what is selected.

    The fused kernels of a GPU add gradients up in any order, ``warn_only`` or not; the plain form,
    matrix products and a softmax, does not. On a CPU nothing changes.
    """
    if device.type == "cpu":
        yield
        return
    with sdpa_kernel(SDPBackend.MATH):
        yield


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
