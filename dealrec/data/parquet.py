"""Parquet files, of which only the needed columns are read, a batch of rows at a time."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dealrec.data.detection import Compression, file_error
from dealrec.data.streams import UnpackedFile
from dealrec.data.tables import Batch, chosen, is_name, require_unique

_BATCH_ROWS = 2**18
_DEPTH = 4
"""How deep the fields of structures are looked for."""
_Answer = TypeVar("_Answer")


class ParquetReader:
    """Reads the columns of flat types, lists of them, and the fields of structures by their paths.

    A compressed file is first unpacked to a temporary file.
    """

    def __init__(self, file: UnpackedFile) -> None:
        self.name = file.name
        self._temporary = (
            None if file.compression is Compression.NONE else self._unpacked(file)
        )  # the file is removed with its last reference
        source = str(file.path) if self._temporary is None else self._temporary.name
        self._parquet = self._guarded("truncated_stream", lambda: pq.ParquetFile(source))
        schema = self._guarded("corrupt_stream", lambda: self._parquet.schema_arrow)
        self._check(schema, file)
        self._plain = [
            field.name
            for field in schema
            if not pa.types.is_nested(field.type) and is_name(field.name)
        ]
        self.lists: dict[str, str | None] = dict.fromkeys(
            name for field in schema for name in _list_names(field) if is_name(name)
        )
        self._top = set(schema.names)
        nested = [path for field in schema for path in _paths(field.name, field.type)]
        self.column_names = [*self._plain, *nested, *self.lists]

    def has(self, name: str) -> bool:
        """See :meth:`dealrec.data.tables.TableReader.has`."""
        return name in self.column_names

    def notes(self) -> list[str]:
        """See :meth:`dealrec.data.tables.TableReader.notes`."""
        return []

    def batches(self, columns: Sequence[str], *, others: bool = False) -> Iterator[Batch]:
        """Read typed columns; see :meth:`dealrec.data.tables.TableReader.batches`."""
        require_unique(self.name, self.column_names, columns)
        columns, row = chosen(self._plain, columns, others=others), 1
        read = [column if column in self._top else column.split(".")[0] for column in columns]
        batches = self._guarded(
            "corrupt_stream",
            lambda: self._parquet.iter_batches(
                _BATCH_ROWS, columns=list(dict.fromkeys(read)), use_threads=False
            ),
        )
        while True:
            batch = self._guarded("corrupt_stream", lambda: next(batches, None))
            if batch is None:
                break
            yield Batch(
                columns={column: self._sound(self._found(batch, column)) for column in columns},
                rows=np.arange(row, row + batch.num_rows),
                bad=[],
            )
            row += batch.num_rows
        if row - 1 != self._parquet.metadata.num_rows:
            message = (
                "The number of rows in the Parquet file differs from its metadata, so the file is "
                "damaged."
            )
            raise file_error(self.name, "corrupt_stream", message)

    def _found(self, batch: pa.RecordBatch, column: str) -> pa.Array:
        if column in batch.schema.names:
            return batch.column(column)
        outer, *inner = column.split(".")
        found = self._sound(batch.column(outer))
        if column not in self.lists:
            return pc.struct_field(found, inner)
        large = pa.types.is_large_list(found.type)
        lists = pa.LargeListArray if large else pa.ListArray
        mask = found.is_null() if found.null_count else None
        return lists.from_arrays(found.offsets, pc.struct_field(found.values, inner), mask=mask)

    def _unpacked(self, file: UnpackedFile) -> "tempfile._TemporaryFileWrapper[bytes]":
        limit, size = file.limits.packed_parquet_bytes, 0
        temporary = tempfile.NamedTemporaryFile(suffix=".parquet")  # noqa: SIM115
        for chunk in file.chunks():
            size += len(chunk)
            if size > limit:
                message = f"A compressed Parquet file may unpack to at most {limit:,} bytes."
                raise file_error(self.name, "file_too_large", message)
            temporary.write(chunk)
        temporary.flush()
        return temporary

    def _guarded(self, code: str, read: Callable[[], _Answer]) -> _Answer:
        """Call ``read()``, and turn the library's complaint about the file into an error with ``code``.

        A :class:`MemoryError` is no complaint about the file, although Arrow's is an
        ``ArrowException``, so it passes.
        """
        try:
            return read()
        except MemoryError:
            raise
        except (pa.ArrowException, OSError, ValueError):
            raise file_error(
                self.name, code, "The Parquet file is cut short or damaged. Copy or write it again."
            ) from None

    def _sound(self, column: pa.Array) -> pa.Array:
        """Check the lengths and indices of ``column``, which the file may state wrongly.

        Text that is not UTF-8 is returned as bytes, so that the bad rows can be rejected one by one.
        """

        def checked() -> pa.Array:
            found = column.storage if isinstance(column, pa.ExtensionArray) else column
            if pa.types.is_dictionary(found.type):
                found.validate(full=True)
                found = found.dictionary_decode()
            if pa.types.is_string(found.type) or pa.types.is_large_string(found.type):
                large = pa.types.is_large_string(found.type)
                raw = found.view(pa.large_binary() if large else pa.binary())
                raw.validate(full=True)
                try:
                    found.validate(full=True)
                except pa.ArrowInvalid:
                    return raw
                return found
            found.validate(full=True)
            return found

        return self._guarded("corrupt_stream", checked)

    def _check(self, schema: pa.Schema, file: UnpackedFile) -> None:
        if len(schema.names) > file.limits.columns:
            raise file_error(
                self.name,
                "too_many_columns",
                f"The file has more than {file.limits.columns:,} columns. Remove those that are not needed.",
            )
        metadata = self._parquet.metadata
        unpacked = sum(
            metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups)
        )
        if unpacked > file.limits.unpacked_bytes or metadata.num_rows > file.limits.rows:
            raise file_error(
                self.name,
                "file_too_large",
                (
                    f"The file is larger than {file.limits.unpacked_bytes:,} bytes after unpacking. Split "
                    "it into several files."
                ),
            )


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(lists and not types.is_nested(kind.value_type))


def _list_names(field: pa.Field) -> list[str]:
    """The name of a column of lists; for lists of structures the paths of their flat fields."""
    if _is_list(field.type):
        return [field.name]
    kind = field.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or "." in field.name:
        return []
    if not pa.types.is_struct(kind.value_type):
        return []
    return [
        f"{field.name}.{inner.name}"
        for inner in kind.value_type
        if not pa.types.is_nested(inner.type) and "." not in inner.name
    ]


def _paths(name: str, kind: pa.DataType, depth: int = 1) -> list[str]:
    if not pa.types.is_struct(kind) or depth > _DEPTH or "." in name.rpartition(".")[2]:
        return []
    found = []
    for field in kind:
        path = f"{name}.{field.name}"
        if "." in field.name or not is_name(path):
            continue
        found += _paths(path, field.type, depth + 1) if pa.types.is_nested(field.type) else [path]
    return found
