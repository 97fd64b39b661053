"""Loads a causal language model and its tokenizer by catalogue name, folder, GGUF file or hub id."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dealrec.config.catalogue import BUILT_IN, catalogue
from dealrec.config.finetune import Quantization
from dealrec.config.language_models import (
    content_sha256,
    language_model,
    located,
    not_available,
    public_name,
    revision,
    unknown_model,
)
from dealrec.config.model_entry import AUTO, REPOSITORY
from dealrec.config.model_files import UnusableFiles, gguf_facts, weight_files
from dealrec.language_models.conversion import conversion_folder, converted_gguf
from dealrec.language_models.quantization import keep_weights_in_place, quantized_loading
from dealrec.language_models.quiet import quiet_transformers
from dealrec.progress import SILENT, Reporter

if TYPE_CHECKING:
    import torch

_HUB_ID = re.compile(REPOSITORY)


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

    @property
    def base(self) -> str:
        """The name by which adapters call the model: its repository on the hub where it has one."""
        return public_name(self.source)

    @property
    def longest(self) -> int | None:
        """The longest text that the model is given, in tokens; ``None`` if nothing says so."""
        return longest_text(self.model.config, self.source)


@dataclass(frozen=True)
class _Source:
    location: str
    name: str
    revision: str | None
    local: bool
    attention: str | None = None

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of ``from_pretrained``."""
        return {
            "local_files_only": self.local,
            "trust_remote_code": False,
            **({} if self.local else {"revision": self.revision}),
        }

    def of_model(self) -> dict[str, Any]:
        """Return those that models take beside them."""
        chosen = {} if self.attention is None else {"attn_implementation": self.attention}
        return {**self.options(), **chosen}


def load_language_model(
    name_or_path: str,
    *,
    dtype: str,
    device: "torch.device | str",
    quantization: Quantization = Quantization.NONE,
    reporter: Reporter = SILENT,
) -> LoadedLanguageModel:
    """Load a model from safetensors without running code from its repository.

    Args:
        name_or_path: A catalogue name (``smollm2-135m``). The library and the command line also
            accept a local Hugging Face folder, a ``.gguf`` file, or a hub id (``owner/model``). A
            GGUF file is dequantized once and cached, see
            :mod:`dealrec.language_models.conversion`.
        dtype: ``float32`` or ``bfloat16``.
        device: The torch device for the model.
        quantization: The form in which linear layers hold their weights.
        reporter: Receives an event before a GGUF file is converted, which takes many seconds.

    Raises:
        InputError: ``unknown_model`` if the name means nothing; ``model_not_available`` if the
            files are missing or are not a causal language model; ``quantization_not_available``.
    """
    import torch
    from transformers import AutoModelForCausalLM

    kind = getattr(torch, dtype)
    quantized = quantized_loading(quantization, dtype=kind, device=device)
    source = _find(name_or_path, reporter)
    with _loading(source):
        tokenizer = _tokenizer(source)
        model = AutoModelForCausalLM.from_pretrained(
            source.location, dtype=kind, use_safetensors=True, **quantized, **source.of_model()
        )
    model.requires_grad_(requires_grad=False)
    model.eval()
    if quantized:
        keep_weights_in_place(model)
    else:
        model.to(device)
    pinned = source.revision or getattr(model.config, "_commit_hash", None) or "main"
    again = _local(name_or_path) or name_or_path
    return LoadedLanguageModel(model, tokenizer, source.name, pinned, again)


def load_tokenizer(name_or_path: str, *, reporter: Reporter = SILENT) -> tuple[Any, int | None]:
    """Load the tokenizer as :func:`load_language_model` does, and the longest text of the model.

    The model's weights are not loaded. The length, in tokens, is ``None`` if the model's
    configuration has none. The errors are those of :func:`load_language_model`.
    """
    from transformers import AutoConfig

    source = _find(name_or_path, reporter)
    with _loading(source):
        config = AutoConfig.from_pretrained(source.location, **source.options())
        return _tokenizer(source), longest_text(config, name_or_path)


def unweighted_model(name_or_path: str) -> tuple[Any, Any] | None:
    """Build a model from its configuration alone, and load its tokenizer.

    Returns:
        Both; ``None`` for a GGUF file that has not been converted yet.

    Raises:
        InputError: ``model_not_available`` also for a folder without weights in safetensors.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    source = _found(name_or_path)
    if source is None:
        return None
    with _loading(source):
        if source.local:
            weight_files(Path(source.location))
        config = AutoConfig.from_pretrained(source.location, **source.options())
        return AutoModelForCausalLM.from_config(config), _tokenizer(source)


def longest_text(config: Any, name: str = "") -> int | None:
    """Return the longest text of a model in tokens; ``None`` if nothing says so.

    Args:
        config: The model's configuration, whose number of positions counts.
        name: The name in the catalogue, which may say less.
    """
    positions: Any = getattr(config, "max_position_embeddings", None)
    entry = language_model(name)
    said = [positions, None if entry is None else entry.max_tokens]
    return min((one for one in said if isinstance(one, int)), default=None)


def require_language_model(name_or_path: str) -> None:
    """Check, without loading anything, that the name stands for a model that is here.

    A hub id is taken as it is.

    Raises:
        InputError: ``unknown_model`` or ``model_not_available``, as in :func:`load_language_model`.
    """
    entry = language_model(name_or_path)
    if entry is not None:
        try:
            located(entry)
        except UnusableFiles as error:
            raise not_available(entry.name, str(error)) from None
        return
    path = Path(name_or_path).expanduser()
    if path.suffix == ".gguf":
        try:
            gguf_facts([path])
        except UnusableFiles as error:
            raise not_available(path.name, str(error)) from None
    elif not path.is_dir() and not _HUB_ID.fullmatch(name_or_path):
        raise unknown_model(name_or_path, catalogue())


@contextmanager
def _loading(source: _Source) -> Iterator[None]:
    with quiet_transformers():
        try:
            yield
        except UnusableFiles as error:
            raise not_available(source.name, str(error)) from None
        except (OSError, ValueError, KeyError) as error:
            raise not_available(
                source.name, "its files cannot be loaded as a causal language model in safetensors"
            ) from error


def _tokenizer(source: _Source) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source.location, **source.options())
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def _find(name_or_path: str, reporter: Reporter) -> _Source:
    """Find the files; a GGUF file is converted first."""
    require_language_model(name_or_path)
    gguf = _gguf(name_or_path)
    if gguf is not None:
        name, parts, key = gguf
        try:
            converted_gguf(parts, key, reporter)
        except UnusableFiles as error:
            raise not_available(name, str(error)) from error
    source = _found(name_or_path)
    assert source is not None
    return source


def _found(name_or_path: str) -> _Source | None:
    """Find the files; ``None`` for a GGUF file that has not been converted yet."""
    require_language_model(name_or_path)
    entry, path = language_model(name_or_path), Path(name_or_path).expanduser()
    name = path.resolve().name if entry is None else entry.name
    gguf = _gguf(name_or_path)
    if gguf is not None:
        folder: Path | None = conversion_folder(gguf[2])
        if folder is not None and not folder.is_dir():
            return None
    else:
        folder = path if entry is None else located(entry).folder
    if entry is None and not path.exists():
        return _Source(name_or_path, name_or_path, None, local=False)
    attention = None if entry is None or entry.attention == AUTO else entry.attention
    return _Source(str(folder), name, revision(name_or_path), local=True, attention=attention)


def _gguf(name_or_path: str) -> tuple[str, Sequence[Path], str] | None:
    """Return the name, the parts and the key in the cache of a GGUF file; ``None`` for another model."""
    entry, path = language_model(name_or_path), Path(name_or_path).expanduser()
    if entry is None:
        if path.suffix != ".gguf":
            return None
        return path.name, [path], f"{path.stem}-{content_sha256(path)[:16]}"
    parts = located(entry).parts
    if not parts:
        return None
    if entry.package is not None:
        built_in = entry.name in BUILT_IN
        return entry.name, parts, f"{entry.name if built_in else entry.package}-{entry.revision}"
    return entry.name, parts, f"{parts[0].stem}-{content_sha256(parts[0])[:16]}"


def _local(name_or_path: str) -> str | None:
    """The absolute path of a local folder or file; ``None`` for a name in the catalogue or on the hub."""
    path = Path(name_or_path).expanduser()
    return str(path.absolute()) if language_model(name_or_path) is None and path.exists() else None
