"""Applies a :class:`~dealrec.config.runtime.Runtime` to torch."""

import torch

from dealrec.config.runtime import Runtime


def apply_runtime(runtime: Runtime) -> torch.device:
    """Set torch's threads and determinism for this process; gives back the device to work on."""
    torch.set_num_threads(runtime.resolved_threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    if runtime.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(runtime.device)
