"""Checks of a language model by the heads of its files: they take milliseconds and no library of torch."""

from collections.abc import Sequence
from pathlib import Path

from dealrec.config.language_models import (
    ModelPlace,
    adapted_modules,
    language_model,
    located,
    not_available,
    require_modules,
)
from dealrec.config.model_files import ModelFacts, UnusableFiles
from dealrec.config.model_memory import require_memory, weight_bytes
from dealrec.errors import InputError

_NO_NAMES = ("auto", "all-linear")
_DECODERS = ("ForCausalLM", "LMHeadModel")
"""The ends of the names of classes that write text from left to right."""


def model_facts(name_or_path: str) -> ModelFacts | None:
    """Read the facts of a model in the catalogue, of a folder or of a GGUF file; ``None`` for a hub id.

    Raises:
        InputError: ``model_not_available`` if the files are missing or broken.
    """
    entry, path = language_model(name_or_path), Path(name_or_path).expanduser()
    if entry is None and not path.exists():
        return None
    try:
        if entry is not None:
            return located(entry).facts()
        return (ModelPlace(path) if path.is_dir() else ModelPlace(parts=(path,))).facts()
    except UnusableFiles as error:
        raise not_available(path.name if entry is None else entry.name, str(error)) from None


def require_facts(
    name_or_path: str,
    facts: ModelFacts,
    modules: Sequence[str] = (),
    *,
    dtype: str = "float32",
    quantization: str = "none",
    room: tuple[int | None, str] = (None, ""),
) -> None:
    """Check that a model can be used as it is asked for, as far as the heads of its files tell.

    Args:
        name_or_path: As people name the model.
        facts: Those of :func:`model_facts`.
        modules: The target modules of a LoRA.
        dtype: The number type of the weights.
        quantization: How they are quantized: ``none``, ``nf4`` or ``int8``.
        room: The bytes of memory that there are, and where: ``this machine has``.

    Raises:
        InputError: ``model_not_supported``, ``unknown_target_modules``, ``tokenizer_does_not_fit``, or
            ``not_enough_memory``.
    """
    name = name_or_path if language_model(name_or_path) else Path(name_or_path).name
    if facts.architectures and not any(one.endswith(_DECODERS) for one in facts.architectures):
        raise InputError(
            f"`{name}` is a `{facts.architectures[0]}`, and a decoder that writes text (`…ForCausalLM`) "
            "is needed.",
            code="model_not_supported",
            title="The language model is not supported",
        )
    if facts.tokens is not None and facts.embeddings is not None:
        require_fitting(name, facts.tokens, facts.embeddings)
    wanted = adapted_modules(name_or_path, tuple(modules))
    if facts.modules and wanted and wanted[0] not in _NO_NAMES:
        require_modules(name, wanted, facts.modules)
    needed = [weight_bytes(facts.parameters, dtype, quantization)]
    require_memory(name, max(needed), *room)


def require_fitting(name: str, tokens: int, embeddings: int) -> None:
    """Raise :class:`InputError` (``tokenizer_does_not_fit``) for tokens that have no embedding."""
    if tokens > embeddings:
        raise InputError(
            f"The tokenizer of `{name}` makes {tokens:,} tokens, and the model has embeddings of "
            f"{embeddings:,}. The files are of two models, or the embeddings were not resized.",
            code="tokenizer_does_not_fit",
            title="The tokenizer does not belong to the language model",
        )
