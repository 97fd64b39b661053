"""Checks of a language model that need no weights, to be made before anything that takes long."""

from pathlib import Path

import torch

from dealrec.config.language_models import adapted_modules, language_model
from dealrec.config.model_checks import model_facts, require_facts, require_fitting
from dealrec.config.model_memory import free_bytes
from dealrec.config.model_use import ModelUse
from dealrec.config.runtime import Runtime
from dealrec.language_models.loading import require_language_model, unweighted_model
from dealrec.language_models.projections import projection
from dealrec.language_models.structure import Structure, decoder_of, last_layer
from dealrec.language_models.targets import target_modules


def require_usable(use: ModelUse, *, chat: bool = False, runtime: Runtime | None = None) -> None:
    """Check that the files of a model are those of a decoder that can be used as it is asked for.

    It has the layers that are needed and the chat template that is asked for, its tokenizer makes no token
    without an embedding, and the work with it fits into the memory that is free. The model is built on
    torch's ``meta`` device, where tensors have a shape and no content. Of a GGUF file that was never loaded
    only the head is looked at.

    Args:
        use: What a stage does with the model, named as for
            :func:`~dealrec.language_models.loading.load_language_model`.
        chat: Whether texts are in its chat template.
        runtime: The device; default: the best that there is.

    Raises:
        InputError: ``unknown_model``, ``model_not_available``, ``model_not_supported``,
            ``unknown_target_modules``, ``tokenizer_does_not_fit``, ``no_chat_template``, or
            ``not_enough_memory``.
    """
    require_language_model(use.model)
    facts = model_facts(use.model)
    if facts is not None:
        runtime = runtime or Runtime()
        on_gpu = runtime.device != "cpu" and torch.cuda.is_available()
        require_facts(use, facts, chat=chat, on_gpu=on_gpu, room=_free(on_gpu=on_gpu))
    with torch.device("meta"):
        built = unweighted_model(use.model)
    if built is None:
        return
    model, tokenizer = built
    name = Path(use.model).name if language_model(use.model) is None else use.model
    tokens = max(tokenizer.get_vocab().values(), default=-1) + 1
    require_fitting(name, tokens, model.get_input_embeddings().num_embeddings)
    structure = Structure(model, decoder_of(model), object)
    for one in use.projections:
        projection(model, last_layer(model, structure), one)
    if use.modules:
        target_modules(model, name, adapted_modules(use.model, use.modules))


def _free(*, on_gpu: bool) -> tuple[int | None, str]:
    """Return the bytes that a model may take on the device now, and the words for it."""
    if on_gpu:
        return torch.cuda.mem_get_info()[0], "the free memory of the GPU is"
    return free_bytes(), "the free memory of this machine is"
