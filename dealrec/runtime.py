"""Applies a :class:`~dealrec.config.runtime.Runtime` to torch and to the allocator."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

# Deterministic mode and every optimizer load it, which takes longer than torch itself. Loaded with this
# module, it is there before a worker forks the processes of stages.
import torch._inductor.config
from torch.nn.attention import SDPBackend, sdpa_kernel

from dealrec.config.runtime import Runtime

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of ``mallopt`` (glibc's ``malloc.h``)."""


def apply_runtime(runtime: Runtime) -> torch.device:
    """Set torch's threads and determinism for this process, and return the device to work on."""
    torch.set_num_threads(runtime.resolved_threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling new tensors serves to find reads of uninitialized memory, and costs a kernel per tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # The gradients of cuDNN's attention differ from run to run, and it reports a lack of memory by an
    # error that does not mention memory.
    torch.backends.cuda.enable_cudnn_sdp(False)
    _keep_blocks()
    if runtime.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(runtime.device)


@contextmanager
def repeatable_attention(device: torch.device) -> Iterator[None]:
    """Make the gradients of attention repeatable, for scores that decide about the selection.

    The fused kernels of a GPU sum gradients in any order even in deterministic mode, so attention
    runs as matrix products and a softmax instead. On a CPU nothing changes.
    """
    if device.type == "cpu":
        yield
        return
    with sdpa_kernel(SDPBackend.MATH):
        yield


@cache
def _keep_blocks() -> None:
    """Let glibc reuse freed blocks of up to 32 MiB instead of returning them to the system.

    By default glibc maps such blocks anew or reuses them, depending on what the process freed before.
    The system clears every page of a new mapping, and passes over logits then take twice as long.
    Other allocators do not have this call and do not need it.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(_MMAP_THRESHOLD, 32 << 20)
    mallopt(_TRIM_THRESHOLD, 1 << 30)
