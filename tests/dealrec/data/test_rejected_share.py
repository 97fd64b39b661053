"""A file of which too much cannot be used is refused."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dealrec.errors import InputError
from tests.dealrec.data.files import ingest_bytes

GOOD = "".join(f"u{at % 5},i{at % 7},{1_600_000_000 + at}\n" for at in range(90))
HEADER = "user_id,item_id,timestamp\n"
ITEMS = "item_id,title\n" + "".join(f"i{at},T{at}\n" for at in range(7))
DEFAULT = 0.05


def test_a_file_that_loses_more_than_is_allowed_is_refused_with_reasons_and_places(tmp_path):
    bad = "u1,i1,never\n" * 6 + ",i1,1600000000\n" * 4
    with pytest.raises(InputError) as refused:
        ingest_bytes(tmp_path, (HEADER + bad + GOOD).encode(), allowed_rejected=DEFAULT)
    assert refused.value.code == "too_many_rejected"
    assert "10 of the 100 rows of interactions.csv (10.0%) cannot be used" in refused.value.detail
    assert "6 invalid_timestamp (" in refused.value.detail
    assert "4 empty_user_id (The user id is empty.)" in refused.value.detail
    assert "`--allow-rejected 0.1`" in refused.value.detail
    assert refused.value.errors[0].location == "interactions.csv:2:timestamp"
    assert not (tmp_path / "out").exists()
    report = ingest_bytes(tmp_path, (HEADER + bad + GOOD).encode(), allowed_rejected=0.1).report
    assert report["rejected_rows"] == 10


def test_the_items_file_is_held_to_the_same_share(tmp_path):
    rows, items = (HEADER + GOOD).encode(), (ITEMS + "i8,a,b\n").encode()
    with pytest.raises(InputError, match=r"1 of the 8 rows of items\.csv \(12\.5%\)"):
        ingest_bytes(tmp_path, rows, items, allowed_rejected=DEFAULT)
    assert ingest_bytes(tmp_path, rows, items, allowed_rejected=0.13).report["items"] is not None


def test_repeated_rows_lose_nothing_and_refuse_nothing(tmp_path):
    rows, items = (HEADER + GOOD + GOOD).encode(), (ITEMS + ITEMS.partition("\n")[2]).encode()
    report = ingest_bytes(tmp_path, rows, items, allowed_rejected=0.0).report
    assert report["accepted_rows"] == report["rejected_rows"] == 90


def parquet(users: list[str | None]) -> bytes:
    sink = io.BytesIO()
    items = [f"i{at % 7}" for at in range(len(users))]
    times = list(range(1_600_000_000, 1_600_000_000 + len(users)))
    pq.write_table(pa.table({"user_id": users, "item_id": items, "timestamp": times}), sink)
    return sink.getvalue()


def test_values_that_are_marked_as_missing_are_no_sign_of_a_misread_file(tmp_path):
    users = [None if at % 5 == 0 else f"u{at % 4}" for at in range(100)]
    report = ingest_bytes(tmp_path, parquet(users), allowed_rejected=DEFAULT).report
    assert (report["accepted_rows"], report["rejected_rows"]) == (80, 20)
    told = {warning["code"]: warning["message"] for warning in report["warnings"]}
    assert told["missing_values"].startswith("20 of 100 rows of interactions.csv without a value")
    words = (HEADER + GOOD + "NA,i1,1600000000\n" * 20).encode()
    report = ingest_bytes(
        tmp_path, words, allowed_rejected=DEFAULT, format={"null_values": "NA"}
    ).report
    assert report["rejected_rows"] == 20


def test_more_than_a_quarter_of_missing_values_is_refused_unless_that_is_allowed(tmp_path):
    users = [None if at % 3 == 0 else f"u{at % 4}" for at in range(100)]
    with pytest.raises(InputError, match=r"34 of the 100 rows .* at most 25\.0% may be unusable"):
        ingest_bytes(tmp_path, parquet(users), allowed_rejected=DEFAULT)
    assert (
        ingest_bytes(tmp_path, parquet(users), allowed_rejected=0.34).report["accepted_rows"] == 66
    )
    with pytest.raises(InputError, match="None of them has a value of `user_id`"):
        ingest_bytes(tmp_path, parquet([None] * 9))


def test_empty_rows_at_the_end_of_a_sheet_lose_nothing(tmp_path):
    rows, items = HEADER + GOOD + ",,\n" * 40, ITEMS + ",\n" * 40
    report = ingest_bytes(tmp_path, rows.encode(), items.encode(), allowed_rejected=0.0).report
    assert report["reasons"][0]["reason"] == "blank_row"
    assert report["accepted_rows"] == 90
    assert report["items"] is not None
    assert report["items"]["reasons"][0]["reason"] == "blank_row"
