"""One table in every format, whole and damaged, for the forms that take files."""

import bz2
import io
import itertools
import json
import lzma
import random
import zipfile
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.archives import rows_of_cells, workbook
from tests.worker.makers import interactions


def written() -> list[bytes]:
    """The interactions of 60 users in every format that is read."""
    text = interactions()
    names, *rows = [line.split(",") for line in text.splitlines()]
    records = [dict(zip(names, row, strict=True)) for row in rows]
    histories: dict[str, list[str]] = {}
    for user, item, _ in sorted(rows, key=lambda row: int(row[2])):
        histories.setdefault(user, []).append(item)
    return [
        text.encode(),
        text.replace(",", "::").encode(),
        text.replace(",", "\x01").encode(),
        text.encode("utf-16"),
        text.replace("u1", "Zo\xeb").encode("latin-1"),
        json.dumps(records).encode(),
        "\n".join(map(json.dumps, records)).encode(),
        "\n".join(map(repr, records)).encode(),
        bz2.compress(text.encode()),
        lzma.compress(text.encode()),
        _zipped(text),
        workbook(rows_of_cells(*(tuple(cell.encode() for cell in row) for row in [names, *rows]))),
        _parquet({"user_id": list(histories), "history": list(histories.values())}),
        _parquet({name: [record[name] for record in records] for name in names}),
    ]


def tables(seed: int) -> Iterator[bytes]:
    """Whole and damaged tables without end: every second one is cut short or has other bytes in it."""
    draw = random.Random(seed)
    for content in itertools.cycle(written()):
        yield content
        damaged = bytearray(content)
        for _ in range(draw.randint(1, 8)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        yield bytes(damaged[: draw.randint(1, len(damaged))] if draw.random() < 0.5 else damaged)


def _zipped(text: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log.csv", text)
    return sink.getvalue()


def _parquet(columns: dict[str, list]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()
