"""Damaged files of every format end in a data set or in a refusal by name, and in nothing else."""

import bz2
import json
import random
from typing import Any

import pytest

from dealrec.data.limits import Limits
from dealrec.errors import InputError
from tests.dealrec.data.files import INTERACTIONS, ingest_bytes, write_table
from tests.dealrec.data.test_shapes import LISTS, json_text, zipped
from tests.hostile.archives import rows_of_cells, workbook

CSV = write_table(INTERACTIONS, "csv")
SEEDS = {
    "csv": CSV,
    "semicolons": CSV.replace(b",", b";"),
    "double colons": b"1::2::5::978300760\n" * 3 + b"1::3::4::978300761\n2::2::4::978300761\n",
    "UTF-16": CSV.decode().encode("utf-16"),
    "GBK": b"user_id,item_id,position\n"
    + "".join(f"用户,战狼{n},{n}\n" for n in range(9)).encode("gbk"),
    "comments": b"# made by hand\nsep=,\n" + CSV,
    "backslashes": b'user_id,item_id,position\n"u\\"x","a",1\n"u\\"x","b",2\n',
    "lines of ids": b"1 3 1 2 1\n2 1 3\n3 2 4 5\n",
    "RecBole lists": LISTS["RecBole"],
    "Parquet lists": LISTS["Parquet"],
    "JSON lists": LISTS["JSON"],
    "JSON array": json_text("indented array"),
    "Python": json_text("Python"),
    "zip": zipped("a.csv", CSV),
    "bzip2": bz2.compress(CSV),
    "workbook": workbook(
        rows_of_cells(
            (b"user_id", b"item_id", b"position"),
            *((b"u", b"i%d" % n, b"%d" % n) for n in range(5)),
        )
    ),
    "JSON": json.dumps({"user_id": "u", "item_id": "a", "position": 1}).encode() * 2,
}
TRIES = 15
LIMITS = Limits(unpacked_bytes=2**22, workbook_bytes=2**22, sheet_cells=100_000, rows=10_000)


def damaged(content: bytes, draw: random.Random) -> bytes:
    """The content with some bytes changed, a piece taken out or doubled, or cut short."""
    changed = bytearray(content)
    for _ in range(draw.choice([1, 1, 3, 20])):
        changed[draw.randrange(len(changed))] = draw.choice(
            [0, 10, 34, 39, 44, 92, 255, draw.randrange(256)]
        )
    first, last = sorted((draw.randrange(len(changed)), draw.randrange(len(changed))))
    match draw.randrange(5):
        case 0:
            del changed[first:last]
        case 1:
            changed[first:first] = changed[first:last]
        case 2:
            del changed[last:]
    return bytes(changed)


@pytest.mark.parametrize("name", SEEDS)
def test_a_damaged_file_is_read_or_refused(tmp_path, name):
    draw = random.Random(name)
    for _ in range(TRIES):
        content = damaged(SEEDS[name], draw)
        try:
            result = ingest_bytes(tmp_path, content, limits=LIMITS)
        except InputError as refusal:
            assert refusal.code != "internal_error"
            assert refusal.detail
        else:
            assert result.report["accepted_rows"] > 0


DESCRIPTIONS: dict[str, list[Any]] = {
    "separator": ["comma", "tab", "semicolon", "double_colon", "space", "§", "a", "]", "^"],
    "header": [True, False],
    "names": ["user_id,item_id,position", "a,a", "1,2,3,4"],
    "quote": ["double", "single", "none"],
    "escape": ["doubled", "backslash"],
    "multiline": [True, False],
    "rest": [True],
    "comment": ["#", "u"],
    "encoding": ["utf-8", "latin-1", "gbk", "utf-16", "utf-32", "utf-16-le", "hz", "cp037"],
    "date_format": ["%d/%m/%Y"],
    "null_values": [["u"], ["NA", ""]],
    "list_separator": ["space", ","],
    "order": ["file"],
}


def test_any_description_of_a_file_reads_or_refuses_it(tmp_path):
    draw = random.Random(0)
    codes = set()
    for _ in range(80):
        asked = {
            name: draw.choice(values)
            for name, values in DESCRIPTIONS.items()
            if draw.random() < 0.25
        }
        try:
            ingest_bytes(tmp_path, SEEDS[draw.choice(list(SEEDS))], limits=LIMITS, format=asked)
        except InputError as refusal:
            codes.add(refusal.code)
        else:
            codes.add("read")
    assert {"read", "missing_column", "invalid_encoding"} <= codes
