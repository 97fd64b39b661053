"""Parquet files whose footer lies. Its numbers are Thrift's: zigzag, seven bits a byte."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

_ROWS = 5_000


def _written(table: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def _table() -> pa.Table:
    return pa.table(
        {
            "user_id": [f"u{n // 10}" for n in range(_ROWS)],
            "item_id": [f"i{n % 97}" for n in range(_ROWS)],
            "timestamp": range(_ROWS),
        }
    )


GOOD = _written(_table(), compression="none")


def _varint(number: int) -> bytes:
    number <<= 1
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _with_footer(old: int, new: int, *, first_only: bool) -> bytes:
    """The good file with the number ``old`` of its footer written as ``new``."""
    size = int.from_bytes(GOOD[-8:-4], "little")
    body, footer = GOOD[: -8 - size], GOOD[-8 - size : -8]
    assert _varint(old) in footer
    footer = footer.replace(_varint(old), _varint(new), 1 if first_only else -1)
    return body + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def long_footer() -> bytes:
    """A footer that is said to have 2 GiB."""
    return GOOD[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1"


def huge_group() -> bytes:
    """A row group that is said to unpack to 2^45 bytes."""
    size = pq.ParquetFile(io.BytesIO(GOOD)).metadata.row_group(0).total_byte_size
    return _with_footer(size, 2**45, first_only=False)


def many_rows() -> bytes:
    """2^40 rows, everywhere."""
    return _with_footer(_ROWS, 2**40, first_only=False)


def more_rows() -> bytes:
    """A hundred thousand times as many rows as there are."""
    return _with_footer(_ROWS, _ROWS * 100_000, first_only=False)


def broken_page() -> bytes:
    """The pages of the first column are not what the footer says."""
    return GOOD[:4] + b"\xff" * 400 + GOOD[404:]


def wide() -> bytes:
    """More columns than anybody has."""
    return _written(pa.table({f"c{n}": [1] for n in range(5_000)}))


def dictionary_bomb() -> bytes:
    """A few kilobytes that are hundreds of gigabytes once every row has its own text."""
    count = 2 * 2**20
    text = pa.array(["x" * 60_000])
    same = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), text)
    table = pa.table({"user_id": same, "item_id": same, "timestamp": range(count)})
    return _written(table, compression="zstd", store_schema=False)
