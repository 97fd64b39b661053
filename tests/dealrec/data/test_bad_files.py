"""Files that cannot be used: each with the code that it must get, and nothing left behind."""

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile

import numpy as np
import pytest

from dealrec.config import SplitMethod
from dealrec.data.limits import Limits
from dealrec.errors import InputError
from tests.dealrec.data.files import INTERACTIONS, ingest_bytes, pack, write_table

GOOD = b"user_id,item_id,timestamp\nu,a,1\nu,b,2\nu,c,3\n"
NUMBERED = {"item_id": list("abcdefghi"), "timestamp": list("123456789")}
LONG = b"user_id,item_id,timestamp\n" + b"".join(
    b"u%d,i%d,%d\n" % (i, i * i, i) for i in range(9999)
)


def zipped(*names: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, GOOD)
    return sink.getvalue()


def encrypted() -> bytes:
    """An archive whose entries say that they are encrypted."""
    content = bytearray(zipped("interactions.csv"))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def zipped_in_zip() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("a.csv", zipped("a.csv"))
    return sink.getvalue()


def tarred() -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        member = tarfile.TarInfo("interactions.csv")
        member.size = len(GOOD)
        archive.addfile(member, io.BytesIO(GOOD))
    return sink.getvalue()


def array() -> bytes:
    sink = io.BytesIO()
    np.save(sink, np.arange(9))
    return sink.getvalue()


BAD_FILES = {
    "empty": (b"", "empty_file"),
    "white space": (b"\n \n\n", "empty_file"),
    "gzip of nothing": (gzip.compress(b""), "empty_file"),
    "zstd of nothing": (pack(b"", ".zst"), "empty_file"),
    "header alone": (b"user_id,item_id,timestamp\n", "empty_file"),
    "Parquet without rows": (
        write_table({name: [] for name in INTERACTIONS}, "parquet"),
        "empty_file",
    ),
    "zip of two tables": (zipped("a.csv", "b.csv"), "unsupported_format"),
    "zip of nothing": (zipped(), "unsupported_format"),
    "zip without a table": (zipped("a.exe", "b.dll"), "unsupported_format"),
    "zip that is encrypted": (encrypted(), "unsupported_format"),
    "zip cut short": (zipped("a.csv")[:-30], "corrupt_stream"),
    "zip of zip": (zipped_in_zip(), "unsupported_format"),
    "tar.gz": (tarred(), "unsupported_format"),
    "bzip2": (b"BZh91AY&SY" + bytes(range(256)), "corrupt_stream"),
    "bzip2 cut short": (bz2.compress(LONG)[:-20], "truncated_stream"),
    "xz": (b"\xfd7zXZ\x00" + bytes(50), "corrupt_stream"),
    "xz cut short": (lzma.compress(LONG)[:-20], "truncated_stream"),
    "gzip in gzip": (gzip.compress(gzip.compress(GOOD)), "unsupported_format"),
    "JSON array without items": (b'[{"user_id": 1}]', "missing_column"),
    "JSON of columns": (b'{"user_id": {"0": "u"}, "item_id": {"0": "a"}}', "not_tabular"),
    "JSON of users and their items": (b'{"u": ["a", "b"], "v": ["a"]}', "not_tabular"),
    "JSON of rows under keys": (
        b'{"7": {"user_id": "u", "item_id": "a"}, "8": {"user_id": "u", "item_id": "b"}}',
        "not_tabular",
    ),
    "JSON of names and rows": (b'{"columns": ["user_id"], "data": [["u"]]}', "not_tabular"),
    "JSON of rows without names": (b'[["u", "a", 1], ["u", "b", 2]]', "not_tabular"),
    "Python's list of rows": (b"[{'user_id': 'u', 'item_id': 'a'}]", "not_tabular"),
    "JSON array cut short": (
        b'[{"user_id": "u", "item_id": "a", "position": 1},',
        "truncated_stream",
    ),
    "JSON array cut in a record": (b'[{"user_id": "u", "item_id": ', "truncated_stream"),
    "JSON array with more behind": (b'[{"user_id": "u"}] x', "not_tabular"),
    "JSON array of broken records": (b'[{"user_id" "u"}, {"user_id": "u"}]', "not_tabular"),
    "pickle": (pickle.dumps({"user_id": [1]}), "not_tabular"),
    "NumPy": (array(), "not_tabular"),
    "HTML": (b"<!doctype html><title>Sign in</title>", "not_tabular"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(100), "not_tabular"),
    "random bytes": (np.random.default_rng(0).bytes(5000), "not_tabular"),
    "NUL late in the file": (LONG + b"u,\x00,1\n", "not_tabular"),
    "a list a line": (b'{"not": []}\n[1]\n', "not_tabular"),
    "an encoding that is not clear": (
        GOOD + "u,战狼,4\nu,动作,5\n".encode("gbk")[:12] + b"\n" + b"u,\xd5\xbd,6\n",
        "invalid_encoding",
    ),
    "days and months alike": (
        b"user_id,item_id,timestamp\nu,a,01/02/2020\nu,b,03/04/2020\n",
        "ambiguous_dates",
    ),
    "two columns of users": (b"uid,visitorid,item_id,timestamp\nu,v,a,1\n", "several_columns"),
    "gzip cut short": (gzip.compress(LONG)[:-20], "truncated_stream"),
    "gzip cut in its header": (gzip.compress(LONG)[:6], "truncated_stream"),
    "gzip of two, cut": (gzip.compress(GOOD) + gzip.compress(LONG)[:-9], "truncated_stream"),
    "zstd cut short": (pack(LONG, ".zst")[:-20], "truncated_stream"),
    "Parquet cut short": (write_table(INTERACTIONS, "parquet")[:-20], "truncated_stream"),
    "quote never closed": (GOOD + b'u,"d,4\n', "truncated_stream"),
    "quote closed by another cell's": (GOOD + b'u,"d,4\nu,e,5\nu,"f",6\n', "unclosed_quote"),
    "gzip with rubbish": (gzip.compress(GOOD) + b"rubbish", "corrupt_stream"),
    "gzip with a wrong sum": (gzip.compress(GOOD)[:-8] + bytes(8), "corrupt_stream"),
    "a header cell of 200 KB": (GOOD.replace(b"item_id", b"x" * 200_000), "not_tabular"),
    "no item_id": (b"user_id,timestamp\nu,1\n", "missing_column"),
    "no order": (b"user_id,item_id\nu,a\n", "missing_column"),
    "no header": (b"u,a,1\nu,b,2\n", "missing_column"),
    "one column": (b"user_id\nu\n", "missing_column"),
    "two columns of a name": (b"user_id,item_id,user_id,timestamp\n", "duplicate_column"),
    "every timestamp a word": (b"user_id,item_id,timestamp\nu,a,x\nu,b,y\n", "invalid_timestamp"),
    "every user empty": (b"user_id,item_id,timestamp\n,a,1\n ,b,2\n", "empty_user_id"),
    "every row too short": (b"user_id,item_id,timestamp\na,1\nb,2\n", "wrong_column_count"),
    "every split unknown": (
        b"user_id,item_id,timestamp,split\nu,a,1,x\nu,b,2,y\n",
        "invalid_split",
    ),
    "two reasons": (b"user_id,item_id,timestamp\n,a,1\nu,b,x\n", "no_valid_rows"),
    "one item a user": (b"user_id,item_id,position\nu,a,1\nv,b,2\n", "no_samples"),
    "a split without training": (
        b"user_id,item_id,timestamp,split\nu,a,1,test\nu,b,2,test\n",
        "no_samples",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_gets_its_code_and_leaves_nothing(tmp_path, name):
    content, code = BAD_FILES[name]
    with pytest.raises(InputError) as refusal:
        ingest_bytes(tmp_path, content)
    assert refusal.value.code == code
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("limits", "content", "code"),
    [
        (Limits(unpacked_bytes=1000), gzip.compress(LONG), "file_too_large"),
        (Limits(unpacked_bytes=1000), pack(LONG, ".zst"), "file_too_large"),
        (Limits(line_bytes=100), GOOD + b"u," + b"x" * 200 + b",1\n", "line_too_long"),
        (Limits(line_bytes=100), b'{"user_id": "' + b"x" * 200 + b'"}', "line_too_long"),
        (Limits(columns=2), GOOD, "too_many_columns"),
        (Limits(columns=2), write_table(INTERACTIONS, "parquet"), "too_many_columns"),
        (Limits(rows=3), write_table(INTERACTIONS, "parquet"), "file_too_large"),
        (Limits(rows=2), GOOD, "file_too_large"),
        (Limits(rows=7), write_table(INTERACTIONS, "jsonl"), "file_too_large"),
        (
            Limits(packed_parquet_bytes=900),
            gzip.compress(write_table(INTERACTIONS, "parquet")),
            "file_too_large",
        ),
    ],
)
def test_caps_are_errors(tmp_path, limits, content, code):
    with pytest.raises(InputError) as refusal:
        ingest_bytes(tmp_path, content, limits=limits)
    assert refusal.value.code == code


def test_a_damaged_parquet_file_is_refused_or_read_but_breaks_nothing(tmp_path):
    content = write_table({"user_id": ["u"] * 9, **NUMBERED}, "parquet")
    draw = np.random.default_rng(0)
    codes = set()
    for at in draw.integers(4, len(content) - 4, 60):
        broken = bytearray(content)
        broken[at] ^= 0xFF
        try:
            ingest_bytes(tmp_path, bytes(broken))
        except InputError as refusal:
            codes.add(refusal.code)
    assert codes & {"truncated_stream", "corrupt_stream"}


def test_deeply_nested_json_is_a_bad_row(tmp_path):
    nested = b'{"user_id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
    rows = [b'{"user_id": "u", "item_id": "%d", "position": %d}\n' % (i, i) for i in range(4)]
    result = ingest_bytes(tmp_path, rows[0] + nested + b"".join(rows[1:]))
    assert result.report["rejections"][0]["row"] == 2
    assert result.report["rejections"][0]["reason"] == "invalid_json"


@pytest.mark.parametrize("split", [SplitMethod.COLUMN, SplitMethod.GLOBAL_TIME])
def test_a_split_that_the_file_cannot_have_is_refused(tmp_path, split):
    with pytest.raises(InputError) as refusal:
        ingest_bytes(tmp_path, GOOD.replace(b"timestamp", b"position"), split=split)
    assert refusal.value.code == "split_not_possible"


@pytest.mark.parametrize(
    ("columns", "code"), [({"who": "x"}, "invalid_config"), ({"rating": "x"}, "missing_column")]
)
def test_a_mapping_that_does_not_fit_is_refused(tmp_path, columns, code):
    with pytest.raises(InputError) as refusal:
        ingest_bytes(tmp_path, GOOD, columns=columns)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("items", "code"),
    [
        (b"item_id,title\nz,Z\n", "items_do_not_match"),
        (b"item_id,genre\na,A\n", "missing_column"),
        (b"", "empty_file"),
        (b"item_id,title\n,A\n", "empty_item_id"),
    ],
)
def test_an_items_file_that_cannot_be_used_is_refused(tmp_path, items, code):
    with pytest.raises(InputError) as refusal:
        ingest_bytes(tmp_path, GOOD, items)
    assert refusal.value.code == code
    assert not (tmp_path / "out").exists()


def test_the_first_rejected_rows_are_named(tmp_path):
    with pytest.raises(InputError) as refusal:
        ingest_bytes(tmp_path, b"user_id,item_id,timestamp\nu,a,soon\nu,b,later\n", name="log.csv")
    places = [error.location for error in refusal.value.errors]
    assert places == ["log.csv:2:timestamp", "log.csv:3:timestamp"]
    assert "soon" not in str(refusal.value.to_problem())
