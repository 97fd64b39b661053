"""``dealrec.toml``: the server, a reference to the key, and defaults of commands."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dealrec.config.base import overlaid
from dealrec.disk import local_file
from dealrec.errors import FieldError, InputError

NAME = "dealrec.toml"
_SERVER, _KEY = "server", "key"


def settings_files() -> list[Path]:
    """The files that are here: that of the home folder, and that of the working folder, which wins."""
    configuration = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    places = (Path.home() / NAME, configuration / "dealrec" / NAME, Path(NAME).absolute())
    return [path for path in dict.fromkeys(places) if path.is_file()]


def command_defaults(command: Any) -> dict[str, Any]:
    """The defaults of a command and its subcommands (Click's ``default_map``) from the files that are here.

    ``command`` is Click's command. A key goes to the server that its own file names, never to that of
    another file: a file in a foreign folder gets no key of the home folder sent to its server.

    Raises:
        InputError: ``invalid_settings``, or ``no_such_file`` for a file that holds the key.
    """
    found: dict[str, Any] = {}
    for path in settings_files():
        settings = _read(path)
        server = settings.pop(_SERVER, None)
        given = {_SERVER: server, _KEY: _key(settings.pop(_KEY, None), path)}
        if server is not None:
            _forget_key(found)
        common = {name: value for name, value in given.items() if value is not None}
        found = overlaid(found, _common(command, common))
        found = overlaid(found, _of_commands(command, settings, path, ()))
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _invalid(path, f"cannot be read as TOML: {error}") from None


def _key(reference: Any, path: Path) -> str | None:
    """The key that ``env:NAME`` or ``file:PATH`` refers to; ``None`` where the variable is not set."""
    if reference is None:
        return None
    kind, _, place = str(reference).partition(":")
    if kind == "env" and place:
        return os.environ.get(place)
    if kind == "file" and place:
        return (
            local_file(path.parent / Path(place).expanduser()).read_text(encoding="utf-8").strip()
        )
    raise _invalid(
        path,
        "`key` must say where the API key is, such as `env:MY_KEY` or `file:~/.dealrec-key`; it must "
        "not be the key itself",
    )


def _common(command: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` for each subcommand that has an option of the name."""
    found: dict[str, Any] = {}
    for name, inner in getattr(command, "commands", {}).items():
        options = {parameter.name for parameter in inner.params}
        own = {key: value for key, value in given.items() if key in options and _asks(inner)}
        if of_command := {**own, **_common(inner, given)}:
            found[name] = of_command
    return found


def _asks(command: Any) -> bool:
    """Whether a command asks a server, which those do that have ``--server``."""
    return any(parameter.name == _SERVER for parameter in command.params)


def _of_commands(
    command: Any, tables: Mapping[str, Any], path: Path, above: tuple[str, ...]
) -> dict[str, Any]:
    """Options by command, with the names that functions have for those that people write."""
    known = getattr(command, "commands", {})
    options = dict(_options(command))
    found: dict[str, Any] = {}
    for name, value in tables.items():
        if name in known and isinstance(value, Mapping):
            found[name] = _of_commands(known[name], value, path, (*above, name))
        elif name in options and above:
            found[options[name]] = value
        else:
            names = [*known, *options] if above else [_SERVER, _KEY, *known]
            close = get_close_matches(name, names, 1)
            hint = f"; did you mean `{close[0]}`?" if close else ""
            where = f"an option of `dealrec {' '.join(above)}`" if above else "a command"
            raise _invalid(path, f"`{name}` is not {where}{hint}")
    return found


def _options(command: Any) -> Iterator[tuple[str, str]]:
    for parameter in command.params:
        for text in parameter.opts:
            if text.startswith("--") and text not in ("--help", "--server", "--key"):
                yield text.removeprefix("--"), parameter.name


def _forget_key(found: dict[str, Any]) -> None:
    for name, value in list(found.items()):
        if isinstance(value, dict):
            _forget_key(value)
        elif name == _KEY:
            del found[name]


def _invalid(path: Path, what: str) -> InputError:
    return InputError(
        f"{path}: {what}".rstrip(".?") + ("?" if what.endswith("?") else "."),
        code="invalid_settings",
        title="The settings cannot be used",
        errors=[FieldError(str(path), what)],
    )
