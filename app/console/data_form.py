"""The options of a data set as a form: for an upload, and for files that are read again."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dealrec.app.console.fields import FormField, fields_of, flat_texts
from dealrec.config import Column, DataOptions

PREFIX = "options."
_MAPS = {"columns": "is called", "item_columns": "in the items file"}
"""The options that map our names of columns to a file's."""


def data_fields(options: Mapping[str, Any] | None = None) -> list[FormField]:
    """Return the fields of :class:`DataOptions` with ``options`` over the defaults.

    Those of the format are not ``main``. Maps of columns are in :func:`column_fields`.
    """
    defaults = {
        f"{PREFIX}{name}": value
        for name, value in flat_texts(DataOptions().model_dump(mode="json"))
    }
    given = {f"{PREFIX}{name}": text for name, text in flat_texts(options or {})}
    fields = fields_of(DataOptions.model_json_schema(), PREFIX, defaults, given)
    return [
        replace(field, main=field.name.count(".") == 1)
        for field in fields
        if field.name.removeprefix(PREFIX) not in _MAPS
    ]


def column_fields(options: Mapping[str, Any] | None = None) -> list[FormField]:
    """Return a field for each of our columns with the name that the file has for it."""
    given = dict(flat_texts(options or {}))
    return [
        FormField(
            name=f"{PREFIX}{name}.{column}",
            label=f"{column} {words}",
            kind="text",
            value=given.get(f"{name}.{column}", ""),
            default="",
            main=True,
            optional=True,
        )
        for name, words in _MAPS.items()
        if name in DataOptions.model_fields
        for column in Column
    ]
