"""Attacks by the formats beside CSV, and all files that attack."""

import io
import json
import lzma
import zipfile
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.archives import rows_of_cells, workbook
from tests.hostile.files import FILES as COMMON
from tests.hostile.files import GOOD, HEADER, MEBI, HostileFile, made, named, repeated

_XZ_HEADER = 12
"""Bytes before the first block of an xz stream."""


def xz_window() -> bytes:
    """An xz stream that asks for a dictionary of 4 GiB."""
    content = bytearray(lzma.compress(GOOD))
    size = 4 * (content[_XZ_HEADER] + 1)
    header = content[_XZ_HEADER : _XZ_HEADER + size - 4]
    header[header.index(b"\x21\x01") + 2] = 40
    content[_XZ_HEADER : _XZ_HEADER + size] = header + zlib.crc32(header).to_bytes(4, "little")
    return bytes(content)


def xz_bomb(size: int) -> bytes:
    """One line of ``size`` bytes in an xz stream."""
    packer = lzma.LZMACompressor(preset=0)
    pieces = [packer.compress(HEADER)]
    pieces += [packer.compress(piece) for piece in repeated(b"a", size)()]
    return b"".join([*pieces, packer.flush()])


def lists(items: pa.Array, lengths: list[int]) -> bytes:
    """Parquet with a history of some length in each row."""
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
    column = pa.LargeListArray.from_arrays(offsets, items)
    sink = io.BytesIO()
    pq.write_table(
        pa.table({"user_id": [f"u{n}" for n in range(len(lengths))], "history": column}), sink
    )
    return sink.getvalue()


def endless_list() -> bytes:
    """A few hundred kilobytes that are a history of 200 million items."""
    count = 200_000_000
    same = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(count, np.int8)), pa.array(["an item of some length"])
    )
    return lists(same, [count])


def packed_member(method: int) -> bytes:
    """A ZIP archive whose member is packed in an unusual way."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive:
        archive.writestr("a.csv", GOOD)
    return sink.getvalue()


def double_colons(tail: bytes) -> bytes:
    """Columns between ``::``, with ``tail`` at the end."""
    return GOOD.replace(b",", b"::") + tail


def titled(encoding: str, *titles: str) -> bytes:
    """An items file in some encoding."""
    rows = "".join(f"i{at % 7},{title}\n" for at, title in enumerate(titles))
    return ("item_id,title\n" + rows).encode(encoding, "surrogateescape")


_GOOD_LINES = "".join(
    f'{{"user_id": "u{n // 5}", "item_id": "i{n % 7}", "position": {n}}}\n' for n in range(60)
)
_CONTROL = bytes([*range(1, 9), *range(14, 32)])

NEW: dict[str, HostileFile] = {
    "xz cut short": HostileFile(lzma.compress(GOOD)[:-9], "truncated_stream", quick=True),
    "xz in xz": HostileFile(lzma.compress(lzma.compress(GOOD)), "unsupported_format"),
    "xz that asks for 4 GiB": HostileFile(made(xz_window), "corrupt_stream", quick=True),
    "xz bomb of one line": HostileFile(made(lambda: xz_bomb(512 * MEBI)), "line_too_long"),
    "zip of a member in LZMA": HostileFile(packed_member(zipfile.ZIP_LZMA), "ready"),
    "zip of a member in bzip2": HostileFile(packed_member(zipfile.ZIP_BZIP2), "ready"),
    "an array of arrays without end": HostileFile(b"[" + b"[1]," * MEBI, "truncated_stream"),
    "an object of a million users": HostileFile(
        b'{"u": [1, 2]' + b"".join(b', "u%d": [1, 2]' % n for n in range(MEBI)) + b"}",
        "line_too_long",
        faster="not_tabular",
    ),
    "JSON of one field with a thousand levels": HostileFile(
        _GOOD_LINES.encode() + b'{"user_id": ' + b'{"a": ' * 900 + b"1" + b"}" * 901 + b"\n",
        "ready",
        told="invalid_value",
    ),
    "JSON of 1,500 fields in all": HostileFile(
        "".join(
            json.dumps({"user_id": "u", "item_id": f"i{n}", "position": n, f"f{n}": 1}) + "\n"
            for n in range(1_500)
        ).encode(),
        "too_many_columns",
    ),
    "Python of a billion bytes": HostileFile(
        b"{'user_id': 'u', 'item_id': 'i', 'position': 1}\n" + b"{'user_id': 'a' * 10**9}\n" * 60,
        "too_many_rejected",
    ),
    "Python comprehensions": HostileFile(
        b"{'user_id': [x for x in range(10**9)]}\n" * 60, "not_tabular", quick=True
    ),
    "lines of `::` with every control character": HostileFile(
        double_colons(b"".join(b"u%c::i1::5\n" % mark for mark in _CONTROL) + b"u::i::7\n" * 9000),
        "not_tabular",
        faster="ready",
    ),
    "a line of `::` with a million cells": HostileFile(
        double_colons(b"u::" * 300_000 + b"\n"), "ready", told="wrong_column_count", quick=True
    ),
    "a history in Parquet of 200 million items": HostileFile(made(endless_list), "file_too_expensive"),
    "histories in Parquet without items": HostileFile(
        lists(pa.array([], pa.string()), [0] * 60), "empty_item_id", quick=True
    ),
    "a history in a cell of a million brackets": HostileFile(
        b"user_id,item_ids\n" + b"".join(b'u%d,"%b"\n' % (n, b"[" * 300_000) for n in range(3)),
        "empty_item_id",
        faster="missing_column",
        quick=True,
    ),
    "titles in a mixture of encodings": HostileFile(
        GOOD,
        "invalid_encoding",
        items=titled("latin-1", *["T"] * 6, "Jos\xe9") + b"i9,\xff\xfe\n",
    ),
    "titles of lone surrogates": HostileFile(
        GOOD, "too_many_rejected", items=titled("utf-8", *["T"] * 7) + b"i1,\xed\xa0\x80\n"
    ),
    "UTF-16 that swaps its bytes half-way": HostileFile(
        GOOD.decode().encode("utf-16") + GOOD.decode().encode("utf-16-be"), "line_too_long", faster="ready"
    ),
    "a workbook of formulas and links": HostileFile(
        workbook(
            rows_of_cells(
                (b"user_id", b"item_id", b"position"),
                *[(b"=HYPERLINK(&quot;http://x&quot;)", b"i%d" % n, b"%d" % n) for n in range(5)],
            )
        ),
        "ready",
    ),
    "a name of partitions that climbs": named(b"day=1/../x=2/b.csv", "b.csv", quick=True),
}  # fmt: skip
FILES = {**COMMON, **NEW}
