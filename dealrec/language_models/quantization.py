"""Language models whose weights are held in 4 or 8 bits (bitsandbytes)."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from dealrec.config.finetune import Quantization
from dealrec.errors import FieldError, InputError

if TYPE_CHECKING:
    import torch


def quantized_loading(
    quantization: Quantization, *, dtype: "torch.dtype", device: "torch.device | str"
) -> dict[str, Any]:
    """Return the arguments of ``from_pretrained`` that make linear layers hold quantized weights.

    Embeddings and the output layer stay as they are. The layers compute in ``dtype``.

    Raises:
        InputError: ``quantization_not_available`` if the package bitsandbytes is not installed.
    """
    if quantization is Quantization.NONE:
        return {}
    require_quantization(quantization)
    from transformers import BitsAndBytesConfig

    # Of every layer that casts float32 to float16, the library says so anew in every pass.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    settings = (
        BitsAndBytesConfig(load_in_8bit=True)
        if quantization is Quantization.INT8
        else BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    )
    return {"quantization_config": settings, "device_map": {"": device}}


def keep_weights_in_place(model: Any) -> None:
    """Stop 4-bit layers from packing their weights anew at the first pass without a gradient.

    On processors with bfloat16 instructions the library does that. Passes that train and passes that
    evaluate would then compute with other arithmetic, and layers whose width is not a multiple of 32
    would fail.
    """
    for module in model.modules():
        if getattr(module, "support_avx512bf16_for_cpu", False):
            module.support_avx512bf16_for_cpu = False


def require_quantization(quantization: Quantization) -> None:
    """Check that this machine can load such weights; nothing is loaded.

    Raises:
        InputError: ``quantization_not_available``.
    """
    if quantization is Quantization.NONE or find_spec("bitsandbytes") is not None:
        return
    raise InputError(
        f"`quantization: {quantization}` needs the package bitsandbytes, which is not installed. "
        "Install it with `pip install dealrec[quantization]`.",
        code="quantization_not_available",
        title="Quantized weights are not available",
        errors=[FieldError("config.finetune.quantization", "needs the package bitsandbytes")],
    )


@contextmanager
def peft_without_bitsandbytes(model: Any) -> Iterator[None]:
    """Let peft attach adapters without loading bitsandbytes, unless the weights of ``model`` are quantized.

    Where it is installed, peft loads it for every model, which takes a second of processor time.
    """
    from peft.tuners.lora import model as lora

    quantized = getattr(model, "is_quantized", False)
    asked = () if quantized else ("is_bnb_available", "is_bnb_4bit_available")
    answers = {name: getattr(lora, name) for name in asked}
    for name in asked:
        setattr(lora, name, lambda: False)
    try:
        yield
    finally:
        for name, answer in answers.items():
            setattr(lora, name, answer)
