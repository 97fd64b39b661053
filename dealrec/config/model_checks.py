"""Checks of a language model by the heads of its files: they take milliseconds and no library of torch."""

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
from dealrec.config.model_memory import require_memory, working_bytes
from dealrec.config.model_use import ModelUse
from dealrec.errors import FieldError, InputError

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
    use: ModelUse,
    facts: ModelFacts,
    *,
    chat: bool = False,
    on_gpu: bool = False,
    room: tuple[int | None, str] = (None, ""),
) -> None:
    """Check that a model can be used as it is asked for, as far as the heads of its files tell.

    Args:
        use: What a stage does with it.
        facts: Those of :func:`model_facts`.
        chat: Whether texts are in its chat template.
        on_gpu: Whether it is held by a GPU.
        room: The bytes of memory that there are, and where: ``this machine has``.

    Raises:
        InputError: ``model_not_supported``, ``unknown_target_modules``, ``tokenizer_does_not_fit``,
            ``no_chat_template``, or ``not_enough_memory``.
    """
    name = use.model if language_model(use.model) else Path(use.model).name
    if facts.architectures and not any(one.endswith(_DECODERS) for one in facts.architectures):
        raise InputError(
            f"`{name}` is a `{facts.architectures[0]}`, but a causal language model (`…ForCausalLM`) "
            "is needed.",
            code="model_not_supported",
            title="The language model is not supported",
        )
    if facts.tokens is not None and facts.embeddings is not None:
        require_fitting(name, facts.tokens, facts.embeddings)
    if chat and facts.chat_template is False:
        raise no_chat_template(name)
    wanted = adapted_modules(use.model, use.modules)
    if facts.modules and wanted and wanted[0] not in _NO_NAMES:
        require_modules(name, wanted, facts.modules)
    require_memory(name, working_bytes(facts, use, on_gpu=on_gpu), *room)


def no_chat_template(name: str = "") -> InputError:
    """Make the error of a model without a chat template where samples are to be written in it."""
    model = f"the language model `{name}`" if name else "the language model"
    return InputError(
        f"`prompt.format` is `chat`, but {model} has no chat template. Use `prompt.format: plain`, or "
        "a model with a chat template.",
        code="no_chat_template",
        title="The model has no chat template",
        errors=[FieldError("config.prompt.format", "the model has no chat template")],
    )


def require_fitting(name: str, tokens: int, embeddings: int) -> None:
    """Raise :class:`InputError` (``tokenizer_does_not_fit``) for tokens that have no embedding."""
    if tokens > embeddings:
        raise InputError(
            f"The tokenizer of `{name}` has {tokens:,} tokens, but the model has embeddings for only "
            f"{embeddings:,}. The files belong to different models, or the embeddings were not resized.",
            code="tokenizer_does_not_fit",
            title="The tokenizer does not belong to the language model",
        )
