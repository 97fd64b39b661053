"""How much memory work with a language model takes, and what a machine has.

The figures are of `python -m benchmarks.memory`, which measures the peaks that they stand for.
"""

from pathlib import Path

from dealrec.config.language_models import adapted_modules
from dealrec.config.model_files import ModelFacts
from dealrec.config.model_use import ModelUse
from dealrec.errors import InputError

_BYTES = {"float32": 4.0, "bfloat16": 2.0}
_QUANTIZED = {"nf4": 0.6, "int8": 1.1}
"""Bytes a parameter, with the scales and with the embeddings that stay as they are."""
_LIBRARIES = 400_000_000
"""Bytes of a process that has loaded torch and transformers."""
_HELD_IN_TRAINING = 2.0
"""Numbers that a backward pass holds for each output of a linear layer."""
_HELD_IN_READING = 4.0
"""The same for the outputs of the one layer that is at work, where nothing is trained."""
_LOGIT_COPIES = 3
"""Logits in float32, their softmax and their gradient."""
_ANSWERS, _LOGITS_AT_ONCE = 0.25, 512
"""The share of tokens that are answers', and the most of them whose logits are there together."""
_TRAINED_NUMBER = 16
"""Bytes of a trained number: itself, its gradient and Adam's two means."""
_OF_AUTO = ("q_proj", "v_proj", "qkv_proj", "query_key_value", "c_attn", "Wqkv", "in_proj")
"""The layers for which ``auto`` mostly stands."""
_CGROUP = Path("/sys/fs/cgroup")


def weight_bytes(parameters: int, dtype: str, quantization: str = "none") -> int:
    """Return the bytes of a model's weights in memory, which no work with it goes without."""
    return int(parameters * _QUANTIZED.get(quantization, _BYTES[dtype]))


def working_bytes(facts: ModelFacts, use: ModelUse, *, on_gpu: bool = False) -> int:
    """Estimate the bytes that a stage takes: weights, activations of a batch, logits, and what is trained.

    On a GPU a batch that does not fit is cut down to one sample, so only the longest sample counts.
    Without ``use.tokens`` these are the weights alone.
    """
    weights = weight_bytes(facts.parameters, use.dtype, use.quantization)
    if not use.tokens:
        return weights
    tokens = min(use.tokens, use.max_tokens or use.tokens) if on_gpu else use.tokens
    outputs = sum(one for one, _ in facts.shapes if one != facts.embeddings)
    in_layer = _HELD_IN_READING * outputs / facts.layers + 4 * facts.width
    held = in_layer
    if use.rank:
        through = facts.layers * facts.width + _HELD_IN_TRAINING * outputs / facts.layers
        held = through if use.checkpointed else max(in_layer, _HELD_IN_TRAINING * outputs)
    every = use.all_logits and use.rank
    predicted = tokens if every else min(tokens * _ANSWERS, _LOGITS_AT_ONCE)
    logits = predicted * (facts.embeddings or 0) * 4 * _LOGIT_COPIES
    trained = _TRAINED_NUMBER * use.rank * sum(map(sum, _adapted(facts, use)))
    libraries = 0 if on_gpu else _LIBRARIES
    return int(libraries + weights + tokens * held * _BYTES[use.dtype] + logits + trained)


def _adapted(facts: ModelFacts, use: ModelUse) -> list[tuple[int, int]]:
    """The shapes of the layers that LoRA adapts."""
    wanted = adapted_modules(use.model, use.modules)
    if wanted == ("all-linear",):
        return [shape for shape in facts.shapes if shape[0] != facts.embeddings]
    names = _OF_AUTO if wanted == ("auto",) else wanted
    pairs = zip(facts.modules, facts.shapes, strict=True)
    return [shape for path, shape in pairs if any(f".{path}".endswith(f".{n}") for n in names)]


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
            f"`{name}` needs about {needed / 1e9:,.1f} GB of memory for this, but {where} "
            f"{there / 1e9:,.1f} GB. Use a smaller model, `dtype: bfloat16`, a smaller `batch_size` or "
            "`batch_tokens`, `activation_checkpointing`, or a larger machine.",
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
