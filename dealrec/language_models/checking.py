"""Checks of a language model that need no weights, to be made before anything that takes long."""

from collections.abc import Sequence
from pathlib import Path

import torch

from dealrec.config.language_models import adapted_modules, language_model
from dealrec.config.model_checks import model_facts, require_facts, require_fitting
from dealrec.config.model_memory import free_bytes
from dealrec.config.runtime import Runtime
from dealrec.language_models.loading import require_language_model, unweighted_model
from dealrec.language_models.projections import projection
from dealrec.language_models.structure import Structure, decoder_of, last_layer
from dealrec.language_models.targets import target_modules


def require_usable(
    name_or_path: str,
    modules: Sequence[str] = (),
    projections: Sequence[str] = (),
    *,
    dtype: str = "float32",
    quantization: str = "none",
    runtime: Runtime | None = None,
) -> None:
    """Check that the files of a model are those of a decoder that can be used as it is asked for.

    It has the layers that are needed, its tokenizer makes no token without an embedding, and its weights
    fit into the memory that is free. The model is built on torch's ``meta`` device, where tensors have a
    shape and no content. Of a GGUF file that was never loaded only the head is looked at.

    Args:
        name_or_path: As for :func:`~dealrec.language_models.loading.load_language_model`.
        modules: The target modules of a LoRA.
        projections: The projections of the last layer that effort is measured on.
        dtype: The number type of the weights.
        quantization: How they are quantized: ``none``, ``nf4`` or ``int8``.
        runtime: The device; default: the best that there is.

    Raises:
        InputError: ``unknown_model``, ``model_not_available``, ``model_not_supported``,
            ``unknown_target_modules``, ``tokenizer_does_not_fit``, or ``not_enough_memory``.
    """
    require_language_model(name_or_path)
    facts = model_facts(name_or_path)
    if facts is not None:
        room = _free(runtime or Runtime())
        require_facts(
            name_or_path, facts, modules, dtype=dtype, quantization=quantization, room=room
        )
    with torch.device("meta"):
        built = unweighted_model(name_or_path)
    if built is None:
        return
    model, tokenizer = built
    name = Path(name_or_path).name if language_model(name_or_path) is None else name_or_path
    tokens = max(tokenizer.get_vocab().values(), default=-1) + 1
    require_fitting(name, tokens, model.get_input_embeddings().num_embeddings)
    structure = Structure(model, decoder_of(model), object)
    for one in projections:
        projection(model, last_layer(model, structure), one)
    if modules:
        target_modules(model, name, adapted_modules(name_or_path, tuple(modules)))


def _free(runtime: Runtime) -> tuple[int | None, str]:
    """Return the bytes that a model may take on the device now, and the words for it."""
    if runtime.device != "cpu" and torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0], "the GPU has free"
    return free_bytes(), "this machine has free"
