"""A file of which too much cannot be used is refused."""

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
