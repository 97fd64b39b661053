"""Files that attack, and the answer that each must get: a refusal's code, or ``ready`` with a report.

Contents are made when they are sent: what is big is a stream, what is drawn comes from a seed.
"""

import bz2
import gzip
import io
import itertools
import pickle
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tests.hostile import parquet
from tests.hostile.archives import rows_of_cells, understated, workbook, zip_bomb, zipped

MEBI = 2**20
GOOD = b"user_id,item_id,timestamp\n" + b"".join(
    b"u%d,i%d,%d\n" % (n // 5, n % 7, n) for n in range(60)
)
HEADER = b"user_id,item_id,timestamp\n"
Content = bytes | Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class HostileFile:
    """A file of a form; ``items`` goes beside it where that is the one that attacks."""

    content: Content
    expected: str
    """A problem's code, or ``ready``."""
    faster: str | None = None
    """The code where the machine has read it to its end before that was too expensive."""
    told: str | None = None
    """A reason or a warning in the report of what is ready."""
    filename: bytes = b"interactions.csv"
    shown: str | None = None
    """How the report shows the file's name, where that matters."""
    items: bytes | None = None
    quick: bool = False
    """Whether ``make test`` sends it."""


def repeated(piece: bytes, size: int) -> Callable[[], Iterator[bytes]]:
    """A stream of ``size`` bytes, ``piece`` again and again."""
    block = piece * (MEBI // len(piece))
    return lambda: itertools.repeat(block, size // len(block))


def packed(content: Callable[[], Iterator[bytes]], kind: str) -> Callable[[], Iterator[bytes]]:
    """The stream in one gzip, zstd or bzip2 stream, packed while it is sent."""

    def gzipped() -> Iterator[bytes]:
        packer = zlib.compressobj(9, wbits=31)
        for piece in content():
            yield packer.compress(piece)
        yield packer.flush()

    def zstandard() -> Iterator[bytes]:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            for piece in content():
                stream.write(piece)
        yield sink.getvalue().to_pybytes()

    def bzipped() -> Iterator[bytes]:
        packer = bz2.BZ2Compressor()
        for piece in content():
            yield packer.compress(piece)
        yield packer.flush()

    return {"gzip": gzipped, "zstd": zstandard, "bzip2": bzipped}[kind]


def before(head: bytes, content: Callable[[], Iterator[bytes]]) -> Callable[[], Iterator[bytes]]:
    """``head``, then the stream."""
    return lambda: itertools.chain([head], content())


def made(content: Callable[[], bytes]) -> Callable[[], Iterator[bytes]]:
    """A stream of the bytes that ``content`` makes once it is sent."""
    return lambda: iter([content()])


def zstd(content: bytes) -> bytes:
    """One zstd frame."""
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


def tarred() -> bytes:
    """A tar archive in gzip, with a path that climbs out of its folder."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        member = tarfile.TarInfo("../../etc/passwd")
        member.size = len(GOOD)
        archive.addfile(member, io.BytesIO(GOOD))
    return sink.getvalue()


def array() -> bytes:
    """A NumPy file that needs pickle."""
    sink = io.BytesIO()
    np.save(sink, np.array([{}], object), allow_pickle=True)
    return sink.getvalue()


class _Runs:
    """Unpickled, it would run a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, ("touch /tmp/unpickled",)


def objects(*values: str) -> bytes:
    """JSON Lines: each value as the timestamp of a row, among good rows."""
    row = '{"user_id": "u%d", "item_id": "i%d", "timestamp": %s}'
    lines = [row % (n // 3, n, n) for n in range(30)]
    return "\n".join([*lines, *(row % (0, 99, value) for value in values)]).encode()


def literals(*values: str) -> bytes:
    """Python dictionaries, one a line: each value as the timestamp of a row, among good rows."""
    row = "{'user_id': 'u%d', 'item_id': 'i%d', 'timestamp': %s}"
    lines = [row % (n // 3, n, n) for n in range(120)]
    return "\n".join([*lines, *(row % (0, 99, value) for value in values)]).encode()


def named(filename: bytes, shown: str, *, quick: bool = False) -> HostileFile:
    """A good file with a name that is none."""
    return HostileFile(GOOD, "ready", filename=filename, shown=shown, quick=quick)


LATE_NUL = GOOD + b"u\x00,i1,5\n"
TITLES = b'item_id,title\ni0,"=HYPERLINK(""http://x"",""y"")"\ni1,+1\ni2,@SUM(A1)\ni3,-1+1|x\n'
BIG_ROWS = before(HEADER, repeated(b"u,i,1\nv,i,2\n", 3072 * MEBI))

FILES: dict[str, HostileFile] = {
    # Archives and compression
    "gzip in gzip": HostileFile(gzip.compress(gzip.compress(GOOD)), "unsupported_format"),
    "gzip in zstd": HostileFile(zstd(gzip.compress(GOOD)), "unsupported_format", quick=True),
    "zstd in gzip": HostileFile(gzip.compress(zstd(GOOD)), "unsupported_format"),
    "zip of two tables": HostileFile(
        zipped(**{"a.csv": GOOD, "b.csv": GOOD}), "unsupported_format", quick=True
    ),
    "zip of zip": HostileFile(zipped(**{"a.csv": zipped(a=GOOD)}), "unsupported_format"),
    "zip whose member climbs": HostileFile(
        zipped(**{"../../etc/passwd": GOOD}), "unsupported_format"
    ),
    "zip of 20,000 members": HostileFile(
        made(lambda: zipped(**{f"{n}.csv": b"" for n in range(20_000)})), "unsupported_format"
    ),
    "zip bomb of zeros": HostileFile(
        made(lambda: zip_bomb("a.csv", repeated(b"\x00", 1024 * MEBI))), "not_tabular"
    ),
    "zip bomb of one line": HostileFile(
        made(lambda: zip_bomb("a.csv", before(HEADER, repeated(b"a", 256 * MEBI)))),
        "line_too_long",
        quick=True,
    ),
    "zip that understates its member": HostileFile(
        understated(zipped(**{"a.csv": GOOD})), "corrupt_stream", quick=True
    ),
    "bzip2 bomb of one line": HostileFile(
        packed(before(HEADER, repeated(b"a", 512 * MEBI)), "bzip2"), "line_too_long"
    ),
    "bzip2 cut short": HostileFile(bz2.compress(GOOD)[:-9], "truncated_stream", quick=True),
    "torch's own": HostileFile(
        zipped(**{"archive/data.pkl": pickle.dumps({1: 2})}), "not_tabular", quick=True
    ),
    # Workbooks
    "a workbook": HostileFile(
        workbook(
            rows_of_cells(
                (b"user_id", b"item_id", b"position"),
                *[(b"u", b"i%d" % n, b"%d" % n) for n in range(5)],
            )
        ),
        "ready",
    ),
    "a workbook with a cell in its last corner": HostileFile(
        workbook(
            b'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
        ),
        "file_too_large",
        quick=True,
    ),
    "a workbook that unpacks to 2 GiB": HostileFile(
        made(lambda: zip_bomb("xl/worksheets/sheet1.xml", repeated(b" ", 2048 * MEBI))),
        "file_too_large",
    ),
    "a workbook without a sheet": HostileFile(
        zipped(**{"xl/workbook.xml": b"<workbook/>"}), "corrupt_stream", quick=True
    ),
    "a workbook of broken XML": HostileFile(
        workbook(b"<row><c></row>"), "corrupt_stream", quick=True
    ),
    "a workbook of a billion laughs": HostileFile(
        zipped(
            **{"xl/workbook.xml": b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>'}
        ),
        "corrupt_stream",
    ),
    # Lists of JSON and of Python
    "a JSON array of one record without end": HostileFile(
        before(b'[{"user_id": "', repeated(b"a", 64 * MEBI)), "line_too_long", quick=True
    ),
    "a JSON array of 100,000 levels": HostileFile(b"[" * 100_000, "not_tabular", quick=True),
    "a JSON array cut short": HostileFile(
        b'[{"user_id": "u", "item_id": "i"}, ', "truncated_stream"
    ),
    "Python dictionaries that nest": HostileFile(
        literals("[" * 150_000, "-" * 100_000 + "1", "1+" * 300_000 + "1", "{1:" * 60_000),
        "ready",
        told="invalid_json",
        quick=True,
    ),
    "Python that would run": HostileFile(
        literals("__import__('os').system('touch /tmp/evaluated')"),
        "ready",
        told="invalid_timestamp",
        quick=True,
    ),
    "a million items in one history": HostileFile(
        b"user_id:token\titem_id_list:token_seq\n"
        + b"".join(b"u%d\t%b\n" % (n, b"a b " * 200_000) for n in range(3)),
        "ready",
    ),
    "tar in gzip": HostileFile(tarred(), "unsupported_format"),
    "gzip cut short": HostileFile(gzip.compress(GOOD)[:-9], "truncated_stream", quick=True),
    "zstd cut short": HostileFile(zstd(GOOD)[:-9], "truncated_stream"),
    "gzip with rubbish behind": HostileFile(gzip.compress(GOOD) + b"rubbish", "corrupt_stream"),
    "zstd that asks for a window of 2 GiB": HostileFile(
        b"\x28\xb5\x2f\xfd\x00\xa8" + bytes(50), "corrupt_stream"
    ),
    "gzip bomb of zeros": HostileFile(
        packed(repeated(b"\x00", 2048 * MEBI), "gzip"), "not_tabular"
    ),
    "gzip bomb of one line": HostileFile(
        packed(before(HEADER, repeated(b"a", 2048 * MEBI)), "gzip"), "line_too_long"
    ),
    "zstd bomb of one line": HostileFile(
        packed(before(HEADER, repeated(b"a", 512 * MEBI)), "zstd"), "line_too_long", quick=True
    ),
    "gzip bomb of rows": HostileFile(packed(BIG_ROWS, "gzip"), "file_too_expensive"),
    "gzip bomb of empty lines": HostileFile(
        packed(before(HEADER, repeated(b"\n", 2048 * MEBI)), "gzip"),
        "file_too_expensive",
        faster="empty_file",
    ),
    "gzip bomb of a Parquet file": HostileFile(
        packed(before(b"PAR1", repeated(b"\x00", 5 * 1024 * MEBI)), "gzip"), "file_too_large"
    ),
    # Pickles and their like
    "pickle": HostileFile(pickle.dumps(_Runs()), "not_tabular", quick=True),
    "pickle of protocol 2": HostileFile(pickle.dumps(_Runs(), 2), "not_tabular"),
    "pickle of protocol 1": HostileFile(pickle.dumps({"user_id": 1}, 1), "not_tabular"),
    "pickle of protocol 0": HostileFile(pickle.dumps(_Runs(), 0), "missing_column"),
    "NumPy": HostileFile(array(), "not_tabular"),
    # Parquet
    "Parquet with a footer that is longer than the file": HostileFile(
        made(parquet.long_footer), "truncated_stream", quick=True
    ),
    "Parquet without its end": HostileFile(parquet.GOOD[:-20], "truncated_stream"),
    "Parquet of nothing but magic": HostileFile(b"PAR1PAR1", "truncated_stream"),
    "Parquet that declares 2^45 bytes": HostileFile(made(parquet.huge_group), "file_too_large"),
    "Parquet that declares 2^40 rows": HostileFile(made(parquet.many_rows), "file_too_large"),
    "Parquet that declares more rows than it has": HostileFile(
        made(parquet.more_rows), "corrupt_stream", quick=True
    ),
    "Parquet with a page of rubbish": HostileFile(made(parquet.broken_page), "corrupt_stream"),
    "Parquet with 5,000 columns": HostileFile(made(parquet.wide), "too_many_columns"),
    "Parquet of one long text, 2 million times": HostileFile(
        made(parquet.dictionary_bomb), "file_too_expensive"
    ),
    # Text that is none, or none that we read
    "UTF-16 with its mark": HostileFile(GOOD.decode().encode("utf-16"), "ready"),
    "UTF-16 without": HostileFile(GOOD.decode().encode("utf-16-le"), "ready", quick=True),
    "UTF-16 of an odd length": HostileFile(
        GOOD.decode().encode("utf-16") + b"u", "ready", told="wrong_column_count"
    ),
    "UTF-32": HostileFile(GOOD.decode().encode("utf-32"), "ready"),
    "a byte of Latin-1": HostileFile(GOOD + b"Jos\xe9,i,1\n", "ready", told="invalid_text"),
    # Some code page has a letter for every byte. It is found, and the report names it.
    "bytes of no UTF": HostileFile(
        GOOD + b"".join(b"u,\xff\x81%c,%d\n" % (n, n) for n in range(129, 132)), "ready"
    ),
    "NUL bytes": HostileFile(LATE_NUL, "not_tabular"),
    "HTML": HostileFile(b"<!doctype html><script>alert(1)</script>", "not_tabular"),
    "UTF-8 with its mark": HostileFile(b"\xef\xbb\xbf" + GOOD, "ready", quick=True),
    "mixed line ends": HostileFile(
        GOOD.replace(b"\n", b"\r\n", 20).replace(b"\n", b"\r", 5) + b"u,i,1\r", "ready"
    ),
    # Too much of something
    "ten million columns": HostileFile(repeated(b"a,", 20 * MEBI), "too_many_columns", quick=True),
    "a thousand and one columns": HostileFile(
        HEADER.strip() + b"".join(b",c%d" % n for n in range(998)) + b"\n",
        "too_many_columns",
    ),
    "a header cell of 200 KB": HostileFile(HEADER.strip() + b"," + b"x" * 200_000, "not_tabular"),
    "one line of 1 GiB": HostileFile(before(HEADER, repeated(b"a", 1024 * MEBI)), "line_too_long"),
    "a quote that is never closed": HostileFile(
        GOOD + b'u,"' + b"a\n" * MEBI, "line_too_long", quick=True
    ),
    "columns of one name": HostileFile(b"user_id,user_id,item_id,timestamp\n", "duplicate_column"),
    "JSON of 100,000 levels": HostileFile(
        objects("[" * 100_000 + "]" * 100_000), "ready", told="invalid_json", quick=True
    ),
    "JSON of 400,000 levels": HostileFile(objects('{"a":' * 200_000), "ready", told="invalid_json"),
    "JSON numbers without end": HostileFile(
        objects("9" * 100_000, "1e999999", "-1e400"), "too_many_rejected"
    ),
    "JSON's NaN and Infinity": HostileFile(
        objects("NaN", "-Infinity"), "ready", told="invalid_timestamp"
    ),
    # Names that are paths, and texts that are formulas
    "a name that climbs": named(b"../../../../etc/passwd", "passwd", quick=True),
    "a name from the root": named(b"/etc/passwd", "passwd"),
    "a name of another system": named(b"C:\\windows\\win.ini", "win.ini"),
    "a name with NUL": named(b"a\x00b.csv", "ab.csv", quick=True),
    "a name of 3,000 characters": named(b"a" * 3000 + b".csv", "a" * 196 + ".csv"),
    "a name that runs backwards": named("a\u202evsc.exe".encode(), "avsc.exe"),
    "a name that is no UTF-8": named(b"\xff\xfe.csv", "\ufffd\ufffd.csv"),
    "formulas for titles": HostileFile(
        GOOD, "ready", told="items_not_in_items_file", items=TITLES, quick=True
    ),
    "items of another world": HostileFile(
        GOOD, "items_do_not_match", items=b"item_id,title\nz,Z\n"
    ),
}
