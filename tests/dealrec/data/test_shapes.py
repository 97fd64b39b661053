"""Tables that do not come as one row an interaction in one file."""

import bz2
import gzip
import io
import json
import zipfile
from typing import Any

import pyarrow as pa
import pyarrow.fs as pa_fs
import pyarrow.parquet as pq
import pytest

from dealrec.config import DataOptions
from dealrec.config.data import AS_THEY_ARE
from dealrec.data.ingest import ingest
from dealrec.data.remote import copied
from dealrec.errors import InputError
from dealrec.sources import source_files
from tests.dealrec.data.files import INTERACTIONS, ingest_bytes, write_table
from tests.hostile.archives import rows_of_cells, workbook

HISTORIES = {"u": ["c", "a", "b", "a"], "v": ["a", "c"], "w": ["b", "d", "e"]}
RECORDS = [
    {"user_id": user, "item_id": item, "position": at}
    for user, items in HISTORIES.items()
    for at, item in enumerate(items)
]


def histories(dataset) -> dict[str, list[str]]:
    ids = dataset.item_ids.take(dataset.items).to_pylist()
    return {
        user: ids[dataset.offsets[at] : dataset.offsets[at + 1]]
        for at, user in enumerate(dataset.user_ids.to_pylist())
    }


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def recbole(*rows: str) -> bytes:
    header = "user_id:token\titem_id_list:token_seq\titem_id:token"
    return "\n".join([header, *rows, ""]).encode()


LISTS = {
    "RecBole": recbole("u\tc a b\ta", "v\ta\tc", "w\tb d\te"),
    "RecBole, a row for each target": recbole(
        "u\tc\ta", "u\tc a\tb", "v\ta\tc", "u\tc a b\ta", "w\tb\td", "w\tb d\te"
    ),
    "RecBole, in windows": recbole("u\tc a\tb", "u\ta b\ta", "v\ta\tc", "w\tb d\te"),
    "JSON": "".join(
        json.dumps({"user_id": u, "item_ids": items}) + "\n" for u, items in HISTORIES.items()
    ).encode(),
    "Parquet": parquet(pa.table({"user_id": list(HISTORIES), "history": list(HISTORIES.values())})),
    "CSV with lists as Python writes them": b"user_id,item_ids\n"
    + "".join(f'{u},"{items}"\n' for u, items in HISTORIES.items()).encode(),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_history_in_a_row_becomes_its_items(tmp_path, name):
    options: dict[str, Any] = {}
    if name.startswith("CSV"):
        options = {"columns": {"item_id": "item_ids"}, "format": {"list_separator": ","}}
    result = ingest_bytes(tmp_path, LISTS[name], **options)
    assert histories(result.dataset) == HISTORIES
    assert result.report["accepted_rows"] == len(RECORDS)


def test_lines_of_ids_are_histories(tmp_path):
    content = b"1 3 1 2 1\n2 1 3\n3 2 4 5\n"
    result = ingest_bytes(tmp_path, content)
    assert histories(result.dataset) == {
        "1": ["3", "1", "2", "1"],
        "2": ["1", "3"],
        "3": ["2", "4", "5"],
    }


def test_lists_of_times_go_with_the_lists_of_items(tmp_path):
    table = pa.table(
        {
            "user_id": ["u", "v", "w"],
            "item_id": [["b", "a"], ["a", "c", "b"], ["a"]],
            "timestamp": [[20, 10], [1, 3, 2], [1, 2]],
        }
    )
    result = ingest_bytes(tmp_path, parquet(table), split="leave_one_out")
    assert histories(result.dataset) == {"u": ["a", "b"], "v": ["a", "b", "c"]}
    assert [found["reason"] for found in result.report["reasons"]] == ["unequal_lists"]


def test_sessions_of_events_are_read_by_their_paths(tmp_path):
    sessions = "".join(
        json.dumps(
            {"session": s, "events": [{"aid": s + n, "ts": n, "type": "clicks"} for n in range(4)]}
        )
        + "\n"
        for s in range(5)
    )
    result = ingest_bytes(tmp_path, sessions.encode(), split="leave_one_out")
    assert result.counts["users"] == 5
    assert result.counts["interactions"] == 20


def json_text(shape: str) -> bytes:
    match shape:
        case "array":
            return json.dumps(RECORDS).encode()
        case "indented array":
            return json.dumps(RECORDS, indent=2).encode()
        case "objects over lines":
            return "\n".join(json.dumps(record, indent=1) for record in RECORDS).encode()
        case "Python":
            return "\n".join(str(record) for record in RECORDS).encode()
        case _:
            nested = [
                {
                    "user": {"id": r["user_id"]},
                    "item": {"id": {"$oid": r["item_id"]}},
                    "ts": r["position"],
                }
                for r in RECORDS
            ]
            return "\n".join(map(json.dumps, nested)).encode()


@pytest.mark.parametrize(
    "shape", ["array", "indented array", "objects over lines", "Python", "nested"]
)
def test_json_is_read_in_every_shape(tmp_path, shape):
    result = ingest_bytes(tmp_path, json_text(shape), split="leave_one_out")
    assert histories(result.dataset) == HISTORIES


def zipped(name: str, content: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ml/README.txt", "About.")
        archive.writestr(f"ml/{name}", content)
    return sink.getvalue()


@pytest.mark.parametrize(
    "pack",
    [
        lambda content: zipped("a.csv", content),
        bz2.compress,
        lambda content: bz2.compress(content[:40]) + bz2.compress(content[40:]),
    ],
)
def test_packed_tables_are_those_inside(tmp_path, pack):
    content = write_table(INTERACTIONS, "csv")
    plain = ingest_bytes(tmp_path, content).dataset.sha256
    assert ingest_bytes(tmp_path, pack(content)).dataset.sha256 == plain


def test_a_workbook_is_its_one_sheet(tmp_path):
    rows = [[str(record[name]).encode() for name in RECORDS[0]] for record in RECORDS]
    cells = rows_of_cells((b"User ID", b"Item ID", b"position"), *map(tuple, rows))
    result = ingest_bytes(tmp_path, workbook(cells), name="log.xlsx")
    assert histories(result.dataset) == HISTORIES
    assert result.report["read"][0]["said"][0] == "read as an Excel workbook"
    above = rows_of_cells((b"Report",), (b"User ID", b"Item ID", b"position"), *map(tuple, rows))
    for asked in ({}, {"skip": 1, "sheet": "A"}):
        result = ingest_bytes(tmp_path, workbook(above), name="log.xlsx", format=asked)
        assert histories(result.dataset) == HISTORIES
        assert "skipped 1 row above the table in the sheet" in result.report["read"][0]["said"]
    with pytest.raises(InputError, match="no sheet `other`"):
        ingest_bytes(tmp_path, workbook(above), name="log.xlsx", format={"sheet": "other"})


def test_a_folder_is_one_table_with_its_partitions_as_columns(tmp_path):
    for day in ("2020-01-02", "2020-01-01"):
        folder = tmp_path / "events" / f"day={day}"
        folder.mkdir(parents=True)
        pq.write_table(
            pa.table({"user_id": ["u", "v"], "item_id": [day[-1], day]}), folder / "part-0.parquet"
        )
    (tmp_path / "events" / "_SUCCESS").write_text("")
    options = DataOptions.parse({"columns": {"timestamp": "day"}, "split": "leave_one_out"})
    result = ingest(tmp_path / "events", options=options, out=tmp_path / "out")
    assert histories(result.dataset) == {"u": ["1", "2"], "v": ["2020-01-01", "2020-01-02"]}


def test_readmes_and_empty_files_in_a_folder_are_no_parts(tmp_path):
    folder = tmp_path / "events"
    folder.mkdir()
    (folder / "part-0.csv").write_text("user_id,item_id,position\nu,a,1\nu,b,2\nu,a,3\nu,c,4\n")
    (folder / "part-1.csv").touch()  # Spark writes one for a partition without rows
    for name in ("README.md", "LICENSE", "._part-0.csv"):
        (folder / name).write_text("About.")
    assert ingest(folder, out=tmp_path / "out").counts["interactions"] == 4


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"There is no file .*nothing\.csv") as refused:
        ingest(tmp_path / "nothing.csv", out=tmp_path / "out")
    assert refused.value.code == "no_such_file"


def test_files_of_different_kinds_are_named(tmp_path):
    (tmp_path / "a.csv").write_text("user_id,item_id,position\nu,a,1\nu,b,2\nu,a,3\nu,c,4\n")
    (tmp_path / "b.csv").write_text("item_id,title\na,A\n")
    with pytest.raises(
        InputError, match=r"all 2 files have are read, and b\.csv has item_id, title"
    ):
        ingest([tmp_path / "a.csv", tmp_path / "b.csv"], out=tmp_path / "out")


def test_histories_that_nothing_names_are_refused_with_the_options_that_cut_them(tmp_path):
    lines = b"u a b a c\nv a c b a\nw b d e a\n"
    with pytest.raises(InputError, match=r"names=user_id,item_id --set data\.format\.rest=true"):
        ingest_bytes(tmp_path, lines)
    asked = {"names": "user_id,item_id", "rest": True, "list_separator": "space", "order": "file"}
    result = ingest_bytes(tmp_path, lines, format=asked)
    assert result.counts["interactions"] == 12
    with pytest.raises(InputError, match="list_separator=space"):
        ingest_bytes(tmp_path, b"user_id,item_id\nu,a b a\n")


def test_names_of_files_say_training_validation_and_test(tmp_path):
    header = "user_id,item_id,position\n"
    for part, rows in {
        "train": "u,a,1\nu,b,2\nv,b,1\nv,a,2\n",
        "valid": "u,c,3\n",
        "test": "u,d,4\nv\n",
    }.items():
        (tmp_path / f"log.{part}.csv").write_text(header + rows)
    files = [tmp_path / f"log.{part}.csv" for part in ("train", "valid", "test")]
    options = DataOptions(allowed_rejected=1)
    result = ingest(files, options=options, out=tmp_path / "out")
    assert (result.counts["train"], result.counts["valid"], result.counts["test"]) == (4, 1, 1)
    rejection = result.report["rejections"][0]
    assert (rejection["file"], rejection["row"]) == ("log.test.csv", 3)


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="folder holds no table"):
        ingest(tmp_path / "none", out=tmp_path / "out")


def test_an_items_file_may_have_names_and_a_format_of_its_own(tmp_path):
    rows = b"user_id,item_id,position\nu,a,1\nu,b,2\nv,b,1\nv,a,2\n"
    items = gzip.compress("sku;libellé\na;Café\nb;Thé\n".encode("latin-1"))
    result = ingest_bytes(
        tmp_path,
        rows,
        items,
        item_columns={"item_id": "sku", "title": "libellé"},
        item_format={"encoding": "latin-1"},
    )
    assert result.dataset.titles.to_pylist() == ["Café", "Thé"]


@pytest.mark.parametrize(
    ("encoding", "titles"),
    [
        ("gbk", ["战狼2", "流浪地球", "你好李焕英"]),
        ("cp1252", ["Les Misérables", "Niños del Río", "Amélie – le film"]),
        ("cp1251", ["Ирония судьбы", "Брат 2", "Москва слезам не верит"]),
        ("utf-16", ["战狼2", "Ирония", "Amélie"]),
    ],
)
def test_the_encoding_of_titles_is_found(tmp_path, encoding, titles):
    rows = b"user_id,item_id,position\nu,0,1\nu,1,2\nu,2,3\nv,0,1\nv,2,2\n"
    items = "item_id,title\n" + "".join(f"{at},{title}\n" for at, title in enumerate(titles))
    result = ingest_bytes(tmp_path, rows, items.encode(encoding))
    assert result.dataset.titles.to_pylist() == titles
    assert "the text is in" in "; ".join(result.report["read"][1]["said"])


def test_a_damaged_row_of_utf_8_is_rejected_and_the_others_are_used(tmp_path):
    rows = b"user_id,item_id,position\nu,a,1\nu,b,2\nu,c,3\nu,a,4\n"
    items = "item_id,title\na,Thé\nb,Zoë\nc,".encode() + b"Caf\xe9\n"
    result = ingest_bytes(tmp_path, rows, items, split="leave_one_out")
    assert result.dataset.titles.to_pylist() == ["Thé", "Zoë", "c"]
    assert [r["reason"] for r in result.report["rejections"]] == ["invalid_text"]


def test_an_address_of_a_folder_is_read_like_the_folder(tmp_path):
    folder = tmp_path / "day=1"
    folder.mkdir()
    (folder / "a b.csv").write_bytes(write_table(INTERACTIONS, "csv"))
    with source_files(f"file://{tmp_path}/day%3D1", None, AS_THEY_ARE) as files:
        assert files.interactions is not None
        assert files.interactions.paths() == [folder]
    system = pa_fs.SubTreeFileSystem(str(tmp_path), pa_fs.LocalFileSystem())
    found = copied(system, "day=1", tmp_path / "out")
    assert [file.name for file in found.iterdir()] == ["a b.csv"]
    assert (found / "a b.csv").read_bytes() == (folder / "a b.csv").read_bytes()


@pytest.mark.parametrize("address", ["s3://", "nothing://bucket/a.csv", "file:///nowhere/a.csv"])
def test_an_address_of_nothing_is_refused(address):
    with pytest.raises(InputError) as refusal, source_files(address, None, AS_THEY_ARE):
        pass
    assert refusal.value.code == "no_such_file"
