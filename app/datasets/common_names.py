"""Files of several versions as one table, where the versions name their columns differently."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dealrec.app.tables.datasets import DatasetRow, StoredFile, stored_files
from dealrec.config import Column, DataOptions


@dataclass(frozen=True)
class ReadFile:
    """A stored file, and how the validation of its version found the columns."""

    columns: Mapping[str, str]
    """Our names to those that its table had; empty where it was never read."""
    names: Sequence[str]
    """All columns of that table."""
    renamed: Mapping[str, str]
    """The names in that table by those in the file, as far as they differ."""


def read_files(version: DatasetRow, role: str, file: StoredFile) -> list[ReadFile]:
    """The files of a role of a version, in their order."""
    report: Mapping[str, Any] = version.report or {}
    roles = [one for one in ("interactions", "items") if version.uploads.get(one)]
    seen = report.get("files", ())
    at = roles.index(role) if role in roles else len(seen)
    found = seen[at] if at < len(seen) else {"read": {}, "columns": ()}
    return [
        ReadFile(found["read"], found["columns"], one.get("renamed", {}))
        for one in stored_files(file)
    ]


def common_names(
    files: Sequence[ReadFile], options: DataOptions, role: str, *, asked: bool
) -> list[dict[str, str]]:
    """For each file the names that its columns have in the common table, by those in the file.

    Nothing is renamed where all versions name their columns alike. Elsewhere the common names are those
    that ``options`` gives, and otherwise ours. Where the options are ``asked`` for and not those of the
    versions, a column is read by the name that they give in each file that has one of that name.
    """
    if all(file.columns == files[0].columns for file in files):
        return [dict(file.renamed) for file in files]
    given = {**options.columns, **(options.item_columns if role == "items" else {})}
    return [_names(file, given, asked=asked) for file in files]


def _names(file: ReadFile, given: Mapping[Column, str], *, asked: bool) -> dict[str, str]:
    own = {table: name for name, table in file.renamed.items()}
    found = {
        own.get(theirs, theirs): given.get(Column(ours), ours)
        for ours, theirs in file.columns.items()
        if not (asked and given.get(Column(ours)) in file.names)
    }
    return {name: common for name, common in found.items() if name != common}
