"""Descriptions of fields, from the docstrings that stand below them in the code.

They are read when the document is made. Pydantic can read them too, but whenever a class is defined, which
would make every start slower.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel

_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`(~?)([\w.]+)`")
_OURS = "dealrec."


def describe_fields(schemas: dict[str, dict[str, Any]]) -> None:
    """Add to the schemas of an OpenAPI document the descriptions that they lack."""
    for model in _models(BaseModel):
        properties = schemas.get(model.__name__, {}).get("properties", {})
        for name, schema in properties.items():
            found = next((text for text in _written(model, name)), None)
            if found is not None and "description" not in schema:
                schema["description"] = found


def plain_descriptions(part: Any) -> None:
    """Replace the roles and double backticks of docstrings by what Markdown knows, everywhere in ``part``."""
    if isinstance(part, dict):
        text = part.get("description")
        if isinstance(text, str):
            part["description"] = _ROLE.sub(_code, text).replace("``", "`")
        for inner in part.values():
            plain_descriptions(inner)
    elif isinstance(part, list):
        for inner in part:
            plain_descriptions(inner)


def _models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        if model.__module__.startswith(_OURS):
            yield model
        yield from _models(model)


def _written(model: type[BaseModel], name: str) -> Iterator[str]:
    """Yield the docstrings of the field in the class and in those that it inherits from."""
    for owner in model.__mro__:
        if owner.__module__.startswith(_OURS):
            text = _docstrings(owner.__module__).get((owner.__name__, name))
            if text is not None:
                yield text


@cache
def _docstrings(module: str) -> dict[tuple[str, str], str]:
    """The docstrings of fields in a module, by class and field."""
    source = inspect.getsource(sys.modules[module])
    found = {}
    for owner in ast.walk(ast.parse(source)):
        if not isinstance(owner, ast.ClassDef):
            continue
        for field, below in zip(owner.body, owner.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                match below:
                    case ast.Expr(value=ast.Constant(value=str(text))):
                        found[owner.name, field.target.id] = " ".join(text.split())
    return found


def _code(role: re.Match[str]) -> str:
    """The last part of a name alone where a tilde asks for it."""
    name = role[2].rpartition(".")[2] if role[1] else role[2]
    return f"`{name}`"
