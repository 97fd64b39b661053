"""The data that people give to the library: paths, and tables in memory."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Protocol, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.config import DataOptions
from dealrec.data.many import file_name
from dealrec.data.remote import fetched, is_address
from dealrec.disk import local_source
from dealrec.errors import InputError
from dealrec.stages.context import IngestFile, IngestFiles


class ArrowStream(Protocol):
    """A table with the Arrow PyCapsule interface: DataFrames of pandas and polars, Arrow tables, …."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


class ArrowArray(Protocol):
    """A record batch with the Arrow PyCapsule interface."""

    def __arrow_c_array__(
        self, requested_schema: object | None = None
    ) -> tuple[object, object]: ...


Table: TypeAlias = ArrowStream | ArrowArray
Source: TypeAlias = (
    str | Path | Table | Sequence[str | Path | Table] | Sequence[Mapping[str, object]]
)
"""A file in any format of :mod:`dealrec.data`, a folder of files, an address such as
``s3://bucket/events``, a table in memory (a DataFrame, an Arrow table, …), several of these, or a list of
dictionaries, one for each row."""


@dataclass(frozen=True)
class Addition:
    """Files that are appended to a data set together; either part may be left out."""

    interactions: Source | None = None
    items: Source | None = None


def additions(appended: Sequence[Path] | None, items: Path | None) -> list[Addition]:
    """Make the additions of a command; ``items`` came with the last of ``appended``."""
    found = [Addition(str(one)) for one in appended or ()]
    if items is None:
        return found
    return [*found[:-1], replace(found[-1] if found else Addition(), items=str(items))]


@contextmanager
def source_files(
    interactions: Source | None,
    items: Source | None,
    options: DataOptions,
    samples: Source | None = None,
    appended: Sequence[Source | Addition] = (),
) -> Iterator[IngestFiles]:
    """The files of a data set; tables in memory become files for as long as the block runs.

    Each of ``appended`` makes a version of its own after the one before.

    Raises:
        InputError: ``no_data``, ``no_such_file`` or ``not_tabular``.
    """
    if interactions is None and samples is None:
        raise InputError(
            "There are no data to read. Give interactions, or samples (`--samples FILE`), or both.",
            code="no_data",
        )
    with tempfile.TemporaryDirectory(prefix="dealrec-") as scratch:
        further = []
        for at, one in enumerate(appended):
            more = one if isinstance(one, Addition) else Addition(one)
            folder = Path(scratch) / f"appended-{at}"
            folder.mkdir()
            further.append(
                _files(options, folder, interactions=more.interactions, items=more.items)
            )
        first = {"interactions": interactions, "items": items, "samples": samples}
        found = _files(options, Path(scratch), **first)
        yield found.model_copy(update={"appended": tuple(further)})


def _files(options: DataOptions, folder: Path, **roles: Source | None) -> IngestFiles:
    return IngestFiles(
        options=options,
        **{
            role: _file(source, folder / f"{role}.parquet")
            for role, source in roles.items()
            if source is not None
        },
    )


def _path(source: str | PathLike[str], scratch: Path) -> Path:
    """The local file or folder; what an address names is copied beside ``scratch`` first."""
    if isinstance(source, str) and is_address(source):
        folder = scratch.with_suffix(".fetched")
        folder.mkdir()
        return local_source(fetched(source, folder))
    return local_source(fspath(source))


def _named(path: Path) -> IngestFile:
    return IngestFile(path=path, name=file_name(path))


def _file(source: Source, table: Path) -> IngestFile:
    if isinstance(source, str | PathLike):
        return _named(_path(source, table))
    if isinstance(source, list | tuple) and not _are_rows(source):
        first, *further = (
            _file(one, table.with_name(f"{table.stem}-{at}{table.suffix}"))
            for at, one in enumerate(source)
        )
        return first.model_copy(update={"further": tuple(further)})
    try:
        made = (
            pa.Table.from_pylist(source) if isinstance(source, list | tuple) else pa.table(source)
        )
        pq.write_table(_decoded(made), table)
    except MemoryError:  # Arrow's is an ArrowException, too
        raise
    except (pa.ArrowException, TypeError, ValueError) as error:
        kind = f"{type(source).__module__}.{type(source).__qualname__}".removeprefix("builtins.")
        reason = " ".join(str(part) for part in error.args).rstrip(".")
        raise InputError(
            f"The {table.stem} cannot be read as a table from an object of the type {kind}: {reason}. "
            "Give the path of a file, an Arrow table, or a DataFrame in which each column has a "
            "single type (`.collect()` makes one from a lazy frame).",
            code="not_tabular",
        ) from None
    return IngestFile(path=table, name=table.name)


def _are_rows(source: Sequence[object]) -> bool:
    return all(isinstance(one, Mapping) for one in source)


def _decoded(table: pa.Table) -> pa.Table:
    """The table with categories as their values: Arrow cannot write those of every DataFrame."""
    for at, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            kind = field.type.value_type
            kind = pa.large_string() if kind == pa.string_view() else kind
            chunks = [
                part.dictionary.cast(kind).take(part.indices) for part in table.column(at).chunks
            ]
            column = pa.chunked_array(chunks, kind)
            table = table.set_column(at, field.name, column)
    return table
