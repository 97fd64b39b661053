"""Says what is wrong with a value, in one plain sentence, from the errors that Pydantic finds."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from types import GenericAlias, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from dealrec.errors import FieldError

_PHRASES = {
    "missing": "is needed",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "multiple_of": "must be a multiple of {multiple_of:g}",
    "finite_number": "must be a finite number",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_long": "takes at most {max_length} values and has {actual_length}",
    "none_required": "must be null",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "frozen_set_type": "must be a list",
}
_KINDS = (
    (("int_",), "must be a whole number"),
    (("float_", "decimal_"), "must be a number"),
    (("bool_",), "must be true or false"),
    (("string_", "url_", "path_"), "must be text"),
    (("list_", "tuple_", "set_"), "must be a list"),
    (("dict_", "mapping_", "model_", "dataclass_"), "must be an object of named values"),
    (("datetime_", "date_"), "must be a date with a time"),
)


def field_errors(
    found: Iterable[Mapping[str, Any]], location: str, model: Any = None
) -> list[FieldError]:
    """Give every fault once, at the field that has it.

    Pydantic reports a value that fits no member of a union once for each member. These reports become
    one, with the members' conditions joined by "or".

    Args:
        found: What ``ValidationError.errors()`` returns.
        location: The name of the whole value, put before each path.
        model: The validated type. With it the nearest name is proposed for an unknown one, and the
            names that Pydantic gives to a union's members are left out of the paths.
    """
    found = list(found)
    messages: dict[str, list[str]] = {}
    for item in found:
        if item["type"] == "too_short" and _is_above(item["loc"], found):
            continue  # the value that is missing is the one that another error names
        parts, holder = _walk(item["loc"], model)
        path = ".".join([location, *parts]).strip(".")
        message = _message(item, holder)
        if message not in messages.setdefault(path, []):
            messages[path].append(message)
    return [FieldError(path, _joined(texts)) for path, texts in messages.items()]


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun, such as ``1 row`` or ``2,048 rows``."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def sentence(error: FieldError) -> str:
    """Return the fault with its place as a whole sentence."""
    return f"`{error.location}` {error.message}" + ("" if error.message.endswith("?") else ".")


def _nearest(name: object, known: Sequence[str]) -> str:
    """Return the question whether the nearest of ``known`` was meant, or nothing if none is near."""
    close = get_close_matches(str(name), known, 1)
    return f"; did you mean `{close[0]}`?" if close else ""


def _is_above(path: tuple[int | str, ...], found: Iterable[Mapping[str, Any]]) -> bool:
    inner = [item["loc"] for item in found if len(item["loc"]) > len(path)]
    return any(one[: len(path)] == path for one in inner)


def _joined(messages: list[str]) -> str:
    first, *others = messages
    shorter = [text.removeprefix("must be ") for text in others]
    return " or ".join([first, *shorter])


def _message(item: Mapping[str, Any], holder: type[BaseModel] | None) -> str:
    kind, context = str(item["type"]), item.get("ctx", {})
    if kind == "extra_forbidden":
        name = item["loc"][-1]
        known = list(holder.model_fields) if holder else []
        return f"is not an option{_nearest(name, known)}"
    if kind in {"enum", "literal_error"}:
        expected = str(context["expected"])
        known = [part.strip(" '") for part in expected.replace(" or ", ",").split(",")]
        near = _nearest(item.get("input"), known)
        return f"has no such choice{near}" if near else f"must be one of {', '.join(known)}"
    if kind == "too_short":
        least = context["min_length"]
        return "must not be empty" if least == 1 else f"needs at least {least} values"
    if kind in _PHRASES and context.keys() >= _named(_PHRASES[kind]):
        return _PHRASES[kind].format(**context)
    for beginnings, phrase in _KINDS:
        if kind.startswith(beginnings):
            return phrase
    return str(item["msg"]).removeprefix("Value error, ").removesuffix(".")


def _named(phrase: str) -> set[str]:
    return {part.split("}")[0].split(":")[0] for part in phrase.split("{")[1:]}


def _walk(path: Sequence[int | str], model: Any) -> tuple[list[str], type[BaseModel] | None]:
    """Return the parts of ``path`` that a person wrote, and the model that holds the last of them."""
    if model is None:
        return [str(part) for part in path if part != "[key]"], None
    parts: list[str] = []
    holder: type[BaseModel] | None = None
    here: list[Any] = _members(model)
    for part in path:
        models = [one for one in here if isinstance(one, type) and issubclass(one, BaseModel)]
        fields = [one.model_fields[part] for one in models if part in one.model_fields]
        inner = [argument for one in here for argument in _values(one, part)]
        if fields:
            holder = next(one for one in models if part in one.model_fields)
            here = [member for field in fields for member in _members(field.annotation)]
        elif models and part == path[-1] and part not in {one.__name__ for one in models}:
            holder = models[0]  # an unknown name
        elif inner:
            here = [member for argument in inner for member in _members(argument)]
        else:
            continue  # the name of a union's member, or of a validator
        parts.append(str(part))
    return parts, holder


def _members(annotation: Any) -> list[Any]:
    """Return the members of a union, or the type itself, without annotations."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if hasattr(annotation, "__value__"):  # an alias made by ``type``
        return _members(annotation.__value__)
    if get_origin(annotation) in (Union, UnionType):
        return [member for one in get_args(annotation) for member in _members(one)]
    return [annotation]


def _values(annotation: Any, part: int | str) -> tuple[Any, ...]:
    """Return the types of the values in a list or a mapping, if ``part`` can be a place in it."""
    origin = get_origin(annotation)
    if not isinstance(annotation, GenericAlias) and origin is None:
        return ()
    arguments = tuple(one for one in get_args(annotation) if one is not Ellipsis)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return arguments[1:] if isinstance(part, str) else ()
    return arguments if isinstance(part, int) else ()
