"""Parquet files, a batch of rows at a time, only the columns that are asked for."""

import tempfile
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.data.detection import Compression, file_error
from dealrec.data.readers import Batch
from dealrec.data.streams import UnpackedFile

_BATCH_ROWS = 2**18


class ParquetReader:
    """Columns of flat types; nested ones are not seen. A packed file is unpacked to a temporary one first."""

    def __init__(self, file: UnpackedFile) -> None:
        self.name = file.name
        self._temporary = None
        if file.compression is Compression.NONE:
            source = str(file.path)
        else:
            self._temporary = tempfile.NamedTemporaryFile(suffix=".parquet")  # noqa: SIM115
            for chunk in file.chunks():
                self._temporary.write(chunk)
            self._temporary.flush()
            source = self._temporary.name
        try:
            self._parquet = pq.ParquetFile(source)
        except (pa.ArrowException, OSError):
            raise file_error(
                self.name, "truncated_stream", "The Parquet file is cut short or damaged."
            ) from None
        schema = self._parquet.schema_arrow
        self.column_names = [field.name for field in schema if not pa.types.is_nested(field.type)]
        self._check(schema, file)

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Batches of typed columns; see :class:`dealrec.data.readers.TableReader`."""
        row = 1
        batches = self._parquet.iter_batches(_BATCH_ROWS, columns=list(columns), use_threads=False)
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowException, OSError):
                raise file_error(
                    self.name, "corrupt_stream", "The Parquet file is damaged."
                ) from None
            if batch is None:
                return
            yield Batch(
                columns={column: batch.column(column) for column in columns},
                rows=np.arange(row, row + batch.num_rows),
                bad=[],
            )
            row += batch.num_rows

    def _check(self, schema: pa.Schema, file: UnpackedFile) -> None:
        if len(schema.names) > file.limits.columns:
            raise file_error(self.name, "too_many_columns", "The file has too many columns.")
        if len(set(schema.names)) < len(schema.names):
            raise file_error(self.name, "duplicate_column", "Two columns have one name.")
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
