import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dealrec.config import SplitMethod
from dealrec.data.dataset import Dataset
from dealrec.data.findings import validation_lines
from dealrec.data.values import holds_nul
from tests.dealrec.data.files import ingest_bytes
from tests.dealrec.data.test_formats import sequences

LOO = SplitMethod.LEAVE_ONE_OUT


def test_good_rows_are_taken_and_bad_ones_named_by_line_column_and_reason(tmp_path):
    content = (
        b"user_id,item_id,timestamp,split,note\n"
        b'u,a,1,train,"two\nlines"\n'
        b"u,,2,train,\n"
        b"\n"
        b"u,b,yesterday,train,\n"
        b"u,b,3,holdout,\n"
        b"u,b\n"
        b"u,b,4,train,\n"
        b" ,b,5,train,\n"
        b"u,c,6,Validation,\n"
        b"u,b,4,test,\n"
    )
    result = ingest_bytes(tmp_path, content, name="log.csv")
    found = [(r["file"], r["row"], r["column"], r["reason"]) for r in result.report["rejections"]]
    assert found == [
        ("log.csv", 4, "item_id", "empty_item_id"),
        ("log.csv", 6, "timestamp", "invalid_timestamp"),
        ("log.csv", 7, "split", "invalid_split"),
        ("log.csv", 8, None, "wrong_column_count"),
        ("log.csv", 10, "user_id", "empty_user_id"),
        ("log.csv", 12, None, "duplicate_row"),
    ]
    assert result.report["accepted_rows"] == 3
    assert result.report["rejected_rows"] == 6
    assert sequences(result.dataset) == {"u": ["a", "b", "c"]}
    assert result.dataset.splits.tolist() == [0, 0, 1]
    stored = json.loads((tmp_path / "out" / "report.json").read_text())
    assert stored == {"counts": result.counts, "report": result.report}


def test_all_rejections_are_counted_and_the_first_hundred_listed(tmp_path):
    rows = b"u,a,1\nu,b,2\n" + b"u,c,never\n" * 250
    result = ingest_bytes(tmp_path, b"user_id,item_id,timestamp\n" + rows, split=LOO)
    assert result.report["rejected_rows"] == 250
    assert [r["row"] for r in result.report["rejections"]] == list(range(4, 104))


def test_parquet_rows_are_named_by_their_number(tmp_path):
    from tests.dealrec.data.files import write_table

    table = {"user_id": ["u", "", "u"], "item_id": ["a", "b", "c"], "position": ["0", "1", "2"]}
    result = ingest_bytes(tmp_path, write_table(table, "parquet"))
    assert [r["row"] for r in result.report["rejections"]] == [2]


@pytest.mark.parametrize(
    "times",
    [
        ["3", "20", "100"],
        ["-3", "2.5", "1e3"],
        ["2020-01-01", "2020-01-01T10:00:00Z", "2020-01-02"],
        ["2020-01-01T12:00:00+02:00", "2020-01-01T10:00:01Z", "2020-01-01 10:00:01.5"],
        ["1700000000000000001", "1700000000000000002", "1700000000000000003"],
    ],
)
def test_interactions_are_ordered_by_time_however_it_is_written(tmp_path, times):
    first, second, third = times
    content = f"user_id,item_id,timestamp\nu,c,{third}\nu,a,{first}\nu,b,{second}\n"
    result = ingest_bytes(tmp_path, content.encode(), split=SplitMethod.GLOBAL_TIME)
    assert sequences(result.dataset) == {"u": ["a", "b", "c"]}


@pytest.mark.parametrize(
    "time", ["", "NaN", "inf", "1e999", "2020-02-31", "12:30", "true", "1,5,6"]
)
def test_what_is_no_time_is_rejected(tmp_path, time):
    content = f'user_id,item_id,timestamp\nu,a,1\nu,b,2\nu,c,"{time}"\n'
    result = ingest_bytes(tmp_path, content.encode(), split=LOO)
    assert [r["reason"] for r in result.report["rejections"]] == ["invalid_timestamp"]


def test_a_position_is_no_date(tmp_path):
    content = b"user_id,item_id,position\nu,a,1\nu,b,2\nu,c,2020-01-01\n"
    rejections = ingest_bytes(tmp_path, content).report["rejections"]
    assert [r["reason"] for r in rejections] == ["invalid_position"]


def test_position_decides_between_interactions_of_one_time(tmp_path):
    content = b"user_id,item_id,timestamp,position\nu,b,7,1\nu,a,7,0\nu,z,1,9\nu,y,0,9\n"
    dataset = ingest_bytes(tmp_path, content, split=LOO).dataset
    assert sequences(dataset) == {"u": ["y", "z", "a", "b"]}


def test_the_same_item_at_another_time_is_no_repetition(tmp_path):
    content = b"user_id,item_id,timestamp\nu,a,1\nu,a,2\nu,b,2\nu,a,2\nu,c,3\n"
    result = ingest_bytes(tmp_path, content, split=LOO)
    assert sequences(result.dataset) == {"u": ["a", "a", "b", "c"]}
    assert [r["row"] for r in result.report["rejections"]] == [5]


def test_a_cell_that_is_too_long_or_holds_nul_is_a_bad_row(tmp_path):
    lines = [
        json.dumps({"user_id": user, "item_id": f"i{at}", "position": at})
        for at, user in enumerate(["u", "u", "x" * 70_000, "a\x00b", "\ud800", ["u"], True])
    ]
    report = ingest_bytes(tmp_path, "\n".join(lines).encode()).report
    assert [(r["row"], r["reason"]) for r in report["rejections"]] == [
        (3, "cell_too_long"),
        (4, "invalid_text"),
        (5, "invalid_value"),
        (6, "invalid_value"),
        (7, "invalid_value"),
    ]


def test_a_nul_is_looked_for_in_the_texts_of_a_slice_alone():
    texts = pa.array(["a\x00", None, "b", "", "c\x00", "d"])
    assert holds_nul(texts).tolist() == [True, False, False, False, True, False]
    assert holds_nul(texts.slice(1, 3)).tolist() == [False, False, False]
    assert holds_nul(texts.slice(2)).tolist() == [False, False, True, False]
    assert (
        holds_nul(texts.slice(0, 0)).tolist() == holds_nul(pa.array([], pa.string())).tolist() == []
    )


def test_what_is_odd_but_usable_is_a_warning(tmp_path):
    result = ingest_bytes(
        tmp_path,
        b"user_id,item_id,position\nu,a,1\nu,b,2\nu,c,3\nu,a,4\nv,d,1\n",
        b"item_id,title\na,Same\nb,Same\nc,\na,Again\n",
        items_name="things.csv",
    )
    counts = {entry["code"]: entry["count"] for entry in result.report["warnings"]}
    assert counts == {
        "duplicate_titles": 1,
        "items_without_title": 2,
        "users_with_one_item": 1,
        "items_not_in_items_file": 1,
    }
    assert result.dataset.titles.to_pylist() == ["Same", "Same", "c", "d"]
    assert result.report["items"] == {
        "accepted_rows": 3,
        "rejected_rows": 1,
        "reasons": [
            {
                "reason": "duplicate_item",
                "rows": 1,
                "message": "Another row of the same item is used: the first one with a title.",
                "first": "things.csv:5:item_id",
            }
        ],
    }
    (rejection,) = result.report["rejections"]
    assert (rejection["file"], rejection["row"]) == ("things.csv", 5)
    assert rejection["reason"] == "duplicate_item"


def test_the_sums_are_said_in_words_and_loaded_with_the_data_set(tmp_path):
    rows = b"user_id,item_id,position\nu,a,1\nu,b,2\nu,c,x\nu\nu,d,y\n"
    result = ingest_bytes(tmp_path, rows, b"item_id,title\na,A\nb,B\n", name="log.csv")
    assert validation_lines(result.report) == [
        "log.csv: columns are separated by commas",
        "items.csv: columns are separated by commas",
        "interactions: 2 rows accepted, 3 rejected (60.0%)",
        "  2 invalid_position: The position is not a number. The first is log.csv:4:position.",
        (
            "  1 wrong_column_count: The number of cells in the row differs from the header. If the "
            "last column contains separators without quotes, `rest` gives it the rest of the line "
            "(`--set data.format.rest=true`, `item_format` for the items). The first is log.csv:5."
        ),
        "items: 2 rows accepted, 0 rejected",
    ]
    sums = Dataset.load(tmp_path / "out").validation
    assert sums is not None
    assert validation_lines(sums) == validation_lines(result.report)
    assert "rejections" not in sums


def test_without_an_items_file_ids_are_titles(tmp_path):
    result = ingest_bytes(tmp_path, b"user_id,item_id,position\nu,a,1\nu,b,2\n")
    assert result.dataset.titles.to_pylist() == ["a", "b"]
    assert [entry["code"] for entry in result.report["warnings"]] == ["no_items_file"]


def test_a_quote_within_a_cell_is_a_character(tmp_path):
    content = b'user_id,item_id,timestamp,what\nu,a,1,5" disc\nu,b,2,7" single\nu,c,3,\n'
    assert ingest_bytes(tmp_path, content).report["accepted_rows"] == 3


@pytest.mark.parametrize("name", ["\x00", "a\x00b", "\ud800"])
def test_a_column_whose_name_cannot_be_kept_is_not_seen(tmp_path, name):
    items = [{"item_id": i, "title": i, name: "x", "brand": "y"} for i in "abc"]
    lines = "\n".join(json.dumps(item) for item in items).encode()
    rows = b"user_id,item_id,position\nu,a,1\nu,b,2\nu,c,3\nu,a,4\n"
    assert list(ingest_bytes(tmp_path, rows, lines).dataset.item_texts) == ["brand"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"a", b"\xff\xfe", b"c", b"d", b"e"]).view(pa.string()),
        pa.array([b"a", b"\xff\xfe", b"c", b"d", b"e"], pa.binary()),
        pa.array([b"aa", b"\xff\xfe", b"cc", b"dd", b"ee"], pa.binary(2)),
    ],
    ids=["text that is none", "bytes", "bytes of one length"],
)
def test_parquet_text_that_is_not_utf8_is_a_bad_row(tmp_path, column):
    sink = pa.BufferOutputStream()
    table = {"user_id": ["u"] * 5, "item_id": column, "position": [1, 2, 3, 4, 5]}
    pq.write_table(pa.table(table), sink)
    report = ingest_bytes(tmp_path, sink.getvalue().to_pybytes()).report
    assert [entry["row"] for entry in report["rejections"]] == [2]


def test_parquet_numbers_of_half_precision_are_numbers(tmp_path):
    sink = pa.BufferOutputStream()
    half = pa.array([1.0, 2.5, 3.0, 4.0]).cast(pa.float16())
    pq.write_table(pa.table({"user_id": ["u"] * 4, "item_id": half, "position": half}), sink)
    result = ingest_bytes(tmp_path, sink.getvalue().to_pybytes())
    assert result.dataset.item_ids.to_pylist() == ["1", "2.5", "3", "4"]
