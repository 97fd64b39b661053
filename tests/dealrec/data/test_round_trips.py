"""Random tables in every format: what is read is what was written, and every row is counted."""

import bz2
import csv
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dealrec.errors import InputError
from tests.dealrec.data.files import ingest_bytes
from tests.hostile.archives import rows_of_cells, workbook

SETTINGS = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
IDS = st.text("abzü09-_.é,|'\\", min_size=1, max_size=5).filter(lambda text: text.strip() == text)
PLAIN_IDS = st.text("abz09-_", min_size=1, max_size=5)
Histories = dict[str, list[str]]
NAMES = ["user_id", "item_id", "position"]


def histories(ids: st.SearchStrategy[str]) -> st.SearchStrategy[Histories]:
    """Users with four items or more each, of which leaving the last ones out leaves two to train on."""
    some = st.dictionaries(ids, st.lists(ids, min_size=4, max_size=6), min_size=1, max_size=5)
    return some.filter(lambda found: len({i for items in found.values() for i in items}) > 1)


def rows(table: Histories) -> list[tuple[str, str, int]]:
    return [(user, item, at) for user, items in table.items() for at, item in enumerate(items)]


def records(table: Histories) -> list[dict[str, object]]:
    return [dict(zip(NAMES, row, strict=True)) for row in rows(table)]


def csv_text(table: Histories, **how) -> str:
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n", **how).writerows([NAMES, *rows(table)])
    return sink.getvalue()


def parquet(columns: dict[str, list]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def zipped(content: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("table.csv", content)
    return sink.getvalue()


def sheet(table: Histories) -> bytes:
    cells = [tuple(escape(str(cell)).encode() for cell in row) for row in [NAMES, *rows(table)]]
    return workbook(rows_of_cells(*cells))


Writer = Callable[[Histories], bytes]


def encoded(encoding: str) -> Writer:
    return lambda table: csv_text(table).encode(encoding)


def packed(pack: Callable[[bytes], bytes]) -> Writer:
    return lambda table: pack(csv_text(table).encode())


def in_cells(write: Callable[[list[str]], str]) -> Writer:
    """A line for each user, with all items in one cell."""
    return lambda table: "".join(
        ["user_id;item_ids\n", *(f"{user};{write(items)}\n" for user, items in table.items())]
    ).encode()


WRITERS: dict[str, Writer] = {
    "CSV": encoded("utf-8"),
    "CSV in UTF-8 with its mark": encoded("utf-8-sig"),
    "CSV in UTF-16": encoded("utf-16"),
    "CSV in UTF-32": encoded("utf-32"),
    "CSV in gzip": packed(gzip.compress),
    "CSV in bzip2": packed(bz2.compress),
    "CSV in xz": packed(lzma.compress),
    "CSV in zip": packed(zipped),
    "CSV in zstd": packed(lambda content: pa.Codec("zstd").compress(content, asbytes=True)),
    "JSON lines": lambda table: "\n".join(map(json.dumps, records(table))).encode(),
    "a JSON array": lambda table: json.dumps(records(table), ensure_ascii=False).encode(),
    "an indented JSON array": lambda table: json.dumps(records(table), indent=1).encode(),
    "JSON objects over lines": lambda table: "\n".join(
        json.dumps(record, indent=2) for record in records(table)
    ).encode(),
    "Python dictionaries": lambda table: "\n".join(map(repr, records(table))).encode(),
    "an Excel workbook": sheet,
    "Parquet": lambda table: parquet(
        {name: [row[at] for row in rows(table)] for at, name in enumerate(NAMES)}
    ),
}
LISTS: dict[str, Writer] = {
    "lists in Parquet": lambda table: parquet(
        {"user_id": list(table), "item_ids": list(table.values())}
    ),
    "lists of structures in Parquet": lambda table: parquet(
        {
            "user_id": list(table),
            "events": [
                [{"item_id": item, "position": at} for at, item in enumerate(items)]
                for items in table.values()
            ],
        }
    ),
    "lists in JSON": lambda table: "\n".join(
        json.dumps({"user_id": user, "history": items}) for user, items in table.items()
    ).encode(),
    "lists of objects in JSON": lambda table: "\n".join(
        json.dumps({"user_id": user, "events": [{"item_id": item} for item in items]})
        for user, items in table.items()
    ).encode(),
    "lists in CSV, with spaces": in_cells(" ".join),
    "lists in CSV, with bars": in_cells("|".join),
    "lists in CSV, with commas": in_cells(",".join),
    "lists in CSV, as Python writes them": in_cells(repr),
    "lists in CSV, as NumPy writes them": in_cells(
        lambda items: "[" + " ".join(map(repr, items)) + "]"
    ),
    "lists in CSV, as PostgreSQL writes them": in_cells(lambda items: "{" + ",".join(items) + "}"),
}


def read(folder, content: bytes) -> tuple[Histories, int, int]:
    """The histories that were read, and the numbers of rows accepted and rejected."""
    result = ingest_bytes(folder, content, name="table", split="leave_one_out")
    dataset, report = result.dataset, result.report
    ids = dataset.item_ids.take(dataset.items).to_pylist()
    found = {
        user: ids[dataset.offsets[at] : dataset.offsets[at + 1]]
        for at, user in enumerate(dataset.user_ids.to_pylist())
    }
    return found, report["accepted_rows"], report["rejected_rows"]


@pytest.mark.parametrize("name", WRITERS)
@SETTINGS
@given(table=histories(IDS))
def test_single_rows_are_read_as_they_are_written(tmp_path, name, table):
    assert read(tmp_path, WRITERS[name](table)) == (table, len(rows(table)), 0)


@pytest.mark.parametrize("name", LISTS)
@SETTINGS
@given(table=histories(PLAIN_IDS))
def test_lists_are_read_as_they_are_written(tmp_path, name, table):
    assert read(tmp_path, LISTS[name](table)) == (table, len(rows(table)), 0)


VALUES: st.SearchStrategy[object] = st.sampled_from(
    [None, "", "u", "i1", "NaN", 7, -1, 2.5, True, [], {"a": 1}]
)


@pytest.mark.parametrize("shape", ["lines", "array", "Python", "Parquet", "Excel"])
@SETTINGS
@given(data=st.data())
def test_every_record_is_accepted_or_rejected(tmp_path, shape, data):
    """The number of records is that of those written, which no reader takes part in."""
    good = [{"user_id": "u", "item_id": f"i{at}", "position": at} for at in range(5)]
    typed = st.one_of(st.none(), st.sampled_from(["", "u", "é"]))
    cell = typed if shape in ("Parquet", "Excel") else VALUES
    odd = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(NAMES, cell)), max_size=8))
    every = [*odd, *good]
    match shape:
        case "lines":
            content = "\n".join(map(json.dumps, every)).encode()
        case "array":
            content = json.dumps(every).encode()
        case "Python":
            content = "\n".join(map(repr, every)).encode()
        case "Excel":
            filled = [r for r in odd if any(r.values())]  # a sheet has no row without a cell
            every = [*filled, *good]
            cells = [tuple(str(r[n] or "").encode() for n in NAMES) for r in every]
            content = workbook(rows_of_cells(tuple(n.encode() for n in NAMES), *cells))
        case _:
            text = [{n: None if r[n] is None else str(r[n]) for n in NAMES} for r in every]
            content = parquet({n: [r[n] for r in text] for n in NAMES})
    try:
        _, accepted, rejected = read(tmp_path, content)
    except InputError as refused:
        assert refused.code in (
            "not_tabular",
            "missing_column",
        )  # no first record names the columns
    else:
        assert accepted + rejected == len(every)
