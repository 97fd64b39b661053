"""Limits on files, so that a hostile or broken file ends in an error and not in a crash."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of the readers; the error about a file over a limit names the limit."""

    unpacked_bytes: int = 32 * 2**30
    """Bytes of a file after decompression (``file_too_large``)."""
    packed_parquet_bytes: int = 4 * 2**30
    """Bytes of a Parquet file inside gzip or zstd, which is unpacked to disk (``file_too_large``)."""
    line_bytes: int = 2**20
    """Bytes of a line, or of a record with quoted line ends (``line_too_long``)."""
    columns: int = 1000
    """Columns of the header (``too_many_columns``)."""
    cell_bytes: int = 64 * 2**10
    """Bytes of a cell; a row with a longer one is rejected (``cell_too_long``)."""
    workbook_bytes: int = 2**30
    """Bytes of an Excel workbook after decompression (``file_too_large``)."""
    sheet_cells: int = 20_000_000
    """Cells of a sheet, empty ones between others included (``file_too_large``)."""
    rows: int = 2**31 - 2
    """Rows of a file (``file_too_large``)."""
