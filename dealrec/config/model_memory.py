"""How much memory a language model needs at least, and what a machine has."""

from pathlib import Path

from dealrec.errors import InputError

_BYTES = {"float32": 4.0, "bfloat16": 2.0}
_QUANTIZED = {"nf4": 0.6, "int8": 1.1}
"""Bytes a parameter, with the scales and with the embeddings that stay as they are."""
_CGROUP = Path("/sys/fs/cgroup")


def weight_bytes(parameters: int, dtype: str, quantization: str = "none") -> int:
    """Return the bytes of a model's weights in memory, which no work with it goes without."""
    return int(parameters * _QUANTIZED.get(quantization, _BYTES[dtype]))


def machine_bytes() -> int | None:
    """Return the memory that this machine or container has; ``None`` if it does not say so."""
    limits = [_meminfo("MemTotal"), _number(_CGROUP / "memory.max")]
    return min((one for one in limits if one is not None), default=None)


def free_bytes() -> int | None:
    """Return the memory that a process could take now; ``None`` if the machine does not say so."""
    limit, used = _number(_CGROUP / "memory.max"), _number(_CGROUP / "memory.current")
    left = None if limit is None or used is None else max(0, limit - used)
    return min((one for one in (_meminfo("MemAvailable"), left) if one is not None), default=None)


def has_gpu() -> bool:
    """Whether the machine has an NVIDIA driver; torch is not loaded for the answer."""
    return Path("/proc/driver/nvidia/version").exists()


def require_memory(name: str, needed: int, there: int | None, where: str) -> None:
    """Raise :class:`InputError` (``not_enough_memory``) if ``there`` are fewer than ``needed`` bytes.

    Nothing is known where ``there`` is ``None``. ``where`` ends the message: what the memory is.
    """
    if there is not None and needed > there:
        raise InputError(
            f"`{name}` needs at least {needed / 1e9:,.1f} GB of memory, and {where} "
            f"{there / 1e9:,.1f} GB. A smaller model, `dtype: bfloat16` or a larger machine helps.",
            code="not_enough_memory",
            title="The language model does not fit into memory",
        )


def _meminfo(name: str) -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next(
        (1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), None
    )


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
