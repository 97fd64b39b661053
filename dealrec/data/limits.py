"""Caps on what a file may hold, so that a hostile or broken one ends in an error, not in a crash."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What the readers take; a file over a cap is refused with the cap in the message."""

    unpacked_bytes: int = 32 * 2**30
    """Of a file after decompression (``file_too_large``)."""
    packed_parquet_bytes: int = 4 * 2**30
    """Of a Parquet file inside gzip or zstd, which is unpacked to disk (``file_too_large``)."""
    line_bytes: int = 2**20
    """Of one line, or of one record with quoted line ends (``line_too_long``)."""
    columns: int = 1000
    """In the header (``too_many_columns``)."""
    cell_bytes: int = 64 * 2**10
    """Of one cell that is read; the row is rejected (``cell_too_long``)."""
    rows: int = 2**31 - 2
    """In one file (``file_too_large``)."""
