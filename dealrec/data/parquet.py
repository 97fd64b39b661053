"""Parquet files, of which only the needed columns are read, a batch of rows at a time."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.data.detection import Compression, file_error
from dealrec.data.streams import UnpackedFile
from dealrec.data.tables import Batch, chosen, is_name

_BATCH_ROWS = 2**18
_Answer = TypeVar("_Answer")


class ParquetReader:
    """Reads the columns of flat types and ignores nested ones.

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
        self.column_names = [
            field.name
            for field in schema
            if not pa.types.is_nested(field.type) and is_name(field.name)
        ]
        self._check(schema, file)

    def has(self, name: str) -> bool:
        """See :meth:`dealrec.data.tables.TableReader.has`."""
        return name in self.column_names

    def batches(self, columns: Sequence[str], *, others: bool = False) -> Iterator[Batch]:
        """Read typed columns; see :meth:`dealrec.data.tables.TableReader.batches`."""
        columns, row = chosen(self.column_names, columns, others=others), 1
        batches = self._guarded(
            "corrupt_stream",
            lambda: self._parquet.iter_batches(
                _BATCH_ROWS, columns=list(columns), use_threads=False
            ),
        )
        while True:
            batch = self._guarded("corrupt_stream", lambda: next(batches, None))
            if batch is None:
                break
            yield Batch(
                columns={column: self._sound(batch.column(column)) for column in columns},
                rows=np.arange(row, row + batch.num_rows),
                bad=[],
            )
            row += batch.num_rows
        if row - 1 != self._parquet.metadata.num_rows:
            message = "The Parquet file has another number of rows than its metadata says."
            raise file_error(self.name, "corrupt_stream", message)

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
            raise file_error(self.name, code, "The Parquet file is cut short or damaged.") from None

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
            raise file_error(self.name, "too_many_columns", "The file has too many columns.")
        if len(set(schema.names)) < len(schema.names):
            raise file_error(self.name, "duplicate_column", "Two columns have the same name.")
        metadata = self._parquet.metadata
        unpacked = sum(
            metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups)
        )
        if unpacked > file.limits.unpacked_bytes or metadata.num_rows > file.limits.rows:
            raise file_error(
                self.name,
                "file_too_large",
                f"The content is larger than {file.limits.unpacked_bytes:,} bytes.",
            )
