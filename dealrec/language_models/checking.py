"""Checks of a language model that need no weights, to be made before anything that takes long."""

from collections.abc import Sequence
from pathlib import Path

import torch

from dealrec.config.language_models import language_model, require_modules
from dealrec.language_models.loading import require_language_model, unweighted_model
from dealrec.language_models.projections import projection
from dealrec.language_models.structure import Structure, decoder_of, last_layer
from dealrec.language_models.targets import target_modules


def require_usable(
    name_or_path: str, modules: Sequence[str] = (), projections: Sequence[str] = ()
) -> None:
    """Check that the files of a model are those of a decoder, and that it has the layers that are needed.

    The model is built on torch's ``meta`` device, where tensors have a shape and no content. A GGUF file is
    not looked into.

    Args:
        name_or_path: As for :func:`~dealrec.language_models.loading.load_language_model`.
        modules: The target modules of a LoRA, where they are names.
        projections: The projections of the last layer that effort is measured on.

    Raises:
        InputError: ``unknown_model``, ``model_not_available``, ``model_not_supported``, or
            ``unknown_target_modules``.
    """
    require_language_model(name_or_path)
    entry = language_model(name_or_path)
    if entry is not None:
        if entry.modules:
            wanted = [name.rpartition(".")[2] for name in modules]
            require_modules(entry.name, wanted, entry.modules)
        return
    if Path(name_or_path).suffix == ".gguf":
        return
    with torch.device("meta"):
        model = unweighted_model(name_or_path)
    structure = Structure(model, decoder_of(model), object)
    for name in projections:
        projection(model, last_layer(model, structure), name)
    if modules:
        target_modules(model, Path(name_or_path).name, modules)
