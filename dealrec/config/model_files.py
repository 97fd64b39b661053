"""Facts of a language model from the heads of its files, without loading a weight or a library of torch.

The formats: `safetensors <https://huggingface.co/docs/safetensors>`_ begins with the length of a JSON object
that names every tensor; `GGUF <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>`_ begins with pairs
of keys and values and a list of tensors.
"""

import json
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from dealrec.errors import InputError

_HEAD_BYTES = 100_000_000
_INDEX = "model.safetensors.index.json"
_NUMBERS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _ARRAY = 8, 9
_BLOCKS = {
    0: (1, 4),
    1: (1, 2),
    30: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    20: (32, 18),
    23: (256, 136),
}
"""The numbers and the bytes of a block, by the number of a tensor's type; rare types are left out."""
_GGUF_NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""The names that transformers gives to the layers of Llama and those built like it."""


@dataclass(frozen=True)
class ModelFacts:
    """The facts about a model that its files state."""

    family: str | None
    """``model_type`` of its configuration: ``llama``, ``qwen2``, ``gemma3_text``, …."""
    architectures: tuple[str, ...]
    """The classes that its configuration names; empty for a GGUF file."""
    parameters: int
    bytes: int
    """The size of its weights on disk."""
    modules: tuple[str, ...]
    """The paths of its matrices that LoRA can adapt; empty where they are not known."""
    embeddings: int | None
    """The number of tokens that have an embedding."""
    tokens: int | None
    """One more than the largest token that the tokenizer makes."""
    shapes: tuple[tuple[int, int], ...] = ()
    """The outputs and the inputs of each of ``modules``."""
    width: int = 0
    """The length of a token's embedding; 0 where it is not known."""
    chat_template: bool | None = None
    """Whether there is a chat template; ``None`` where that is not known."""

    @property
    def layers(self) -> int:
        """The number of layers, as the paths of ``modules`` number them; 1 where they do not."""
        found = [int(part) for path in self.modules for part in path.split(".") if part.isdigit()]
        return max(found, default=0) + 1


class UnusableFiles(InputError):
    """The files are not those of a model (``model_not_available``)."""

    code = "model_not_available"
    title = "The language model is not available"


def folder_facts(folder: Path) -> ModelFacts:
    """Read the facts of a folder with a configuration, weights in safetensors and a tokenizer.

    Raises:
        UnusableFiles: Something is missing or broken; the message is a clause about it.
    """
    return _folder_facts(folder, _states(weight_files(folder)))


def gguf_facts(parts: Sequence[Path]) -> ModelFacts:
    """Read the facts of a GGUF file, which may lie in parts.

    Raises:
        UnusableFiles: It is not a GGUF file, or it ends too early.
    """
    return _gguf_facts(_states(parts))


def weight_files(folder: Path) -> list[Path]:
    """Return the files of weights in safetensors; all that the index names, where there is one.

    Raises:
        UnusableFiles: The folder or one of the files is missing.
    """
    if not folder.is_dir():
        raise UnusableFiles("there is no such folder")
    if not (folder / _INDEX).is_file():
        found = sorted(folder.glob("*.safetensors"))
        if not found:
            raise UnusableFiles("the folder has no weights in safetensors")
        shards = re.search(r"-of-(\d{5})\.safetensors$", found[0].name)
        if shards and int(shards[1]) != len(found):
            raise UnusableFiles(f"it has {len(found)} of {int(shards[1])} files of weights")
        return found
    names = {str(name) for name in _json(folder / _INDEX).get("weight_map", {}).values()}
    missing = sorted(name for name in names if not (folder / name).is_file())
    if missing:
        raise UnusableFiles(
            f"{len(missing)} of its {len(names)} files are missing, {missing[0]} first"
        )
    return [folder / name for name in sorted(names)]


_State = tuple[Path, int, int]


def _states(files: Sequence[Path]) -> tuple[_State, ...]:
    try:
        states = [(file, file.stat()) for file in files]
    except OSError:
        raise UnusableFiles("there is no such file") from None
    return tuple((file, state.st_size, state.st_mtime_ns) for file, state in states)


@lru_cache(maxsize=64)
def _folder_facts(folder: Path, weights: tuple[_State, ...]) -> ModelFacts:
    config = _json(folder / "config.json")
    if "auto_map" in config and "model_type" not in config:
        raise UnusableFiles("it needs Python code from its repository, which is never run")
    tensors = [tensor for file, size, _ in weights for tensor in _safetensors(file, size)]
    shapes = dict(tensors)
    input_matrix = next((s for n, s in tensors if _ends(n, _EMBEDDINGS) and len(s) == 2), None)
    matrices = {
        name.removesuffix(".weight"): (shape[0], shape[1])
        for name, shape in shapes.items()
        if name.endswith(".weight") and len(shape) == 2 and ".experts." not in name
    }
    if config.get("model_type") in _TRANSPOSED:
        matrices = {name: (outputs, inputs) for name, (inputs, outputs) in matrices.items()}
    return ModelFacts(
        family=config.get("model_type"),
        architectures=tuple(config.get("architectures") or ()),
        parameters=sum(map(prod, shapes.values())),
        bytes=sum(size for _, size, _ in weights),
        modules=tuple(matrices),
        embeddings=None if input_matrix is None else input_matrix[0],
        tokens=_tokens(folder),
        shapes=tuple(matrices.values()),
        width=0 if input_matrix is None else input_matrix[1],
        chat_template=_has_chat_template(folder),
    )


_TRANSPOSED = ("gpt2",)
"""Families whose matrices have their inputs first."""


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    settings = folder / "tokenizer_config.json"
    return settings.is_file() and bool(_json(settings).get("chat_template"))


_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")


def _ends(name: str, endings: Sequence[str]) -> bool:
    return name.endswith(tuple(endings))


def _safetensors(file: Path, size: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > min(size, _HEAD_BYTES):
                raise UnusableFiles(f"{file.name} is truncated or not a safetensors file")
            head = json.loads(stream.read(length))
        last = max(
            (one["data_offsets"][1] for n, one in head.items() if n != "__metadata__"), default=0
        )
        if 8 + length + last > size:
            raise UnusableFiles(f"{file.name} is truncated")
        for name, tensor in head.items():
            if name != "__metadata__":
                yield name, tuple(tensor["shape"])
    except (struct.error, ValueError, KeyError, TypeError, AttributeError):
        raise UnusableFiles(f"{file.name} is truncated or not a safetensors file") from None


def _tokens(folder: Path) -> int | None:
    """Return one more than the largest token of ``tokenizer.json``; ``None`` without such a file."""
    if not (folder / "tokenizer.json").is_file():
        return None
    written = _json(folder / "tokenizer.json")
    vocabulary = (written.get("model") or {}).get("vocab") or {}
    last = (
        max(vocabulary.values(), default=-1)
        if isinstance(vocabulary, dict)
        else len(vocabulary) - 1
    )
    added = [int(token["id"]) for token in written.get("added_tokens") or ()]
    return max([int(last), *added]) + 1


def _json(path: Path) -> dict[str, Any]:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise UnusableFiles(f"the folder has no {path.name}") from None
    except ValueError:
        raise UnusableFiles(f"{path.name} is not JSON") from None
    if not isinstance(loaded, dict):
        raise UnusableFiles(f"{path.name} does not hold a JSON object")
    return loaded


@lru_cache(maxsize=64)
def _gguf_facts(parts: tuple[_State, ...]) -> ModelFacts:
    first, total = parts[0][0], sum(size for _, size, _ in parts)
    with first.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            problem = "is truncated" if total < 4 else "is not a GGUF file"
            raise UnusableFiles(f"{first.name} {problem}")
        try:
            reader = _GgufHead(stream)
            tensors = reader.tensors
        except (struct.error, EOFError, ValueError, KeyError, MemoryError, OverflowError):
            raise UnusableFiles(f"{first.name} is truncated or not a GGUF file") from None
    if max((end for *_, end in tensors), default=1) + reader.end > total:
        raise UnusableFiles(f"{first.name} is truncated")
    if not tensors:
        raise UnusableFiles(f"{first.name} has no weights")
    names = [name.removeprefix("blk.").removesuffix(".weight").split(".") for name, *_ in tensors]
    modules = {
        f"model.layers.{name[0]}.{_GGUF_NAMES[name[1]]}": (shape[-1], shape[0])
        for name, (_, shape, _) in zip(names, tensors, strict=True)
        if len(name) == 2 and name[1] in _GGUF_NAMES
    }
    embedded = next((shape for name, shape, _ in tensors if name == "token_embd.weight"), None)
    return ModelFacts(
        family=reader.family,
        architectures=(),
        parameters=sum(prod(shape) for _, shape, _ in tensors),
        bytes=total,
        modules=tuple(modules),
        embeddings=None if embedded is None else embedded[-1],
        tokens=reader.tokens,
        shapes=tuple(modules.values()),
        width=0 if embedded is None else embedded[0],
        chat_template=reader.chat_template,
    )


class _GgufHead:
    """The head of a GGUF file behind its first four bytes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        version, count, pairs = self._numbers("IQQ")
        if version not in (2, 3):
            raise ValueError(version)
        self.family: str | None = None
        self.tokens: int | None = None
        self.chat_template = False
        for _ in range(pairs):
            key = self._text()
            value = self._value(self._numbers("I")[0])
            if key == "general.architecture":
                self.family = str(value)
            elif key == "tokenizer.ggml.tokens":
                self.tokens = value
            elif key == "tokenizer.chat_template":
                self.chat_template = bool(value)
        self.tensors = [self._tensor() for _ in range(count)]
        self.end = stream.tell()

    def _tensor(self) -> tuple[str, tuple[int, ...], int]:
        """Read the name and the shape of a tensor, and where it ends behind the head at least."""
        name, (dimensions,) = self._text(), self._numbers("I")
        *shape, kind, offset = self._numbers("Q" * min(dimensions, 8) + "IQ")
        numbers, size = _BLOCKS.get(kind, (1, 0))
        return name, tuple(shape), offset + prod(shape) // numbers * size

    def _value(self, kind: int) -> Any:
        """Read a value; a list is passed over, and its length is returned."""
        if kind == _STRING:
            return self._text()
        if kind != _ARRAY:
            return self._numbers(_NUMBERS[kind])[0]
        inner, count = self._numbers("IQ")
        if inner in _NUMBERS:
            self._bytes(struct.calcsize(_NUMBERS[inner]) * count)
        else:
            for _ in range(count):
                self._value(inner)
        return count

    def _text(self) -> str:
        return self._bytes(self._numbers("Q")[0]).decode("utf-8", "replace")

    def _numbers(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(f"<{form}", self._bytes(struct.calcsize(f"<{form}")))

    def _bytes(self, count: int) -> bytes:
        if count > _HEAD_BYTES:
            raise ValueError(count)
        read = self._stream.read(count)
        if len(read) < count:
            raise EOFError
        return read
