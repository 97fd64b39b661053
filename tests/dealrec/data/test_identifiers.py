"""Ids: their order, and those that programs have changed."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dealrec.data.identifiers import normalised, with_zeros
from dealrec.errors import InputError
from tests.dealrec.data.files import ingest_bytes
from tests.dealrec.data.test_formats import sequences

ROWS = "user_id,item_id,timestamp\n" + "".join(
    f"{user},{item}.0,{1_600_000_000 + 977 * at}\n"
    for at, (user, item) in enumerate((u, i) for u in ("b", "é", "B") for i in (7, 10, 9))
)
ITEMS = "item_id,title\n007,Seven\n10,Ten\n9,Nine\n"


def test_users_and_items_are_numbered_by_the_bytes_of_their_ids(tmp_path):
    dataset = ingest_bytes(tmp_path, ROWS.encode(), b"item_id,title\nz,Z\n10.0,T\n1,O\n").dataset
    assert dataset.user_ids.to_pylist() == ["B", "b", "é"]
    assert dataset.item_ids.to_pylist() == ["1", "10.0", "7.0", "9.0", "z"]
    assert dataset.titles.to_pylist() == ["O", "T", "7.0", "9.0", "Z"]
    assert sequences(dataset) == {user: ["7.0", "10.0", "9.0"] for user in ("B", "b", "é")}


def test_items_of_one_time_have_an_order_that_rows_do_not_decide(tmp_path):
    rows = [f"u,{item},7\n" for item in "abcdefgh"]
    orders = [
        sequences(
            ingest_bytes(
                tmp_path, ("user_id,item_id,timestamp\n" + "".join(lines)).encode()
            ).dataset
        )["u"]
        for lines in (rows, rows[::-1])
    ]
    assert orders[0] == orders[1] != sorted(orders[0])


def test_of_equal_rows_in_two_splits_the_earlier_split_counts(tmp_path):
    header = "user_id,item_id,timestamp,split\n"
    rows = ["u,a,1,train\n", "u,b,2,train\n", "u,c,3,test\n", "u,b,2,valid\n"]
    results = [
        ingest_bytes(tmp_path, (header + "".join(lines)).encode()) for lines in (rows, rows[::-1])
    ]
    assert [result.dataset.splits.tolist() for result in results] == [[0, 0, 2]] * 2
    assert [result.report["rejections"][0]["row"] for result in results] == [5, 2]


def test_ids_that_do_not_meet_are_shown_with_the_option_that_mends_them(tmp_path):
    with pytest.raises(InputError, match=r"`10`, but the interactions have `10\.0`.*normalise_ids"):
        ingest_bytes(tmp_path, ROWS.encode(), ITEMS.encode())


def test_a_few_ids_that_do_not_meet_are_told_of_with_an_example(tmp_path):
    warnings = ingest_bytes(tmp_path, ROWS.encode(), (ITEMS + "9.0,N\n").encode()).report[
        "warnings"
    ]
    (told,) = [entry for entry in warnings if entry["code"] == "items_not_in_items_file"]
    assert told["count"] == 2
    assert "`10.0`" in told["message"] and "`10`" in told["message"]
    assert "normalise_ids" in told["message"]


def test_normal_ids_meet(tmp_path):
    rows = ROWS.replace("é", " é ").replace("9.0", "9").encode()
    dataset = ingest_bytes(tmp_path, rows, ITEMS.encode(), normalise_ids=True).dataset
    assert dataset.user_ids.to_pylist() == ["B", "b", "é"]
    assert dataset.item_ids.to_pylist() == ["007", "10", "9"]
    assert dataset.titles.to_pylist() == ["Seven", "Ten", "Nine"]
    assert sequences(dataset)["é"] == ["007", "10", "9"]


def test_ids_get_the_zeros_of_the_only_known_id_that_is_else_the_same():
    ids = pa.array(["7", "8", "08", "5"])
    known = pa.array(["007", "0008", "05", "005"])
    assert with_zeros(ids, known).to_pylist() == ["007", "0008", "0008", "5"]


NUMBERS = st.lists(
    st.builds("{:0{}}".format, st.integers(0, 30), st.integers(1, 4)), unique=True, max_size=12
)


@given(ids=NUMBERS, known=NUMBERS)
def test_mending_zeros_never_mixes_up_known_ids_and_looks_at_no_other_id(ids, known):
    mended = with_zeros(pa.array(ids, pa.string()), pa.array(known, pa.string())).to_pylist()
    for old, new in zip(ids, mended, strict=True):
        same = [one for one in known if int(one) == int(old)]
        assert new == (same[0] if len(same) == 1 else old)


@given(st.text(alphabet='="0. 5a', max_size=9))
def test_mended_ids_stay_as_they_are(text):
    once = normalised(pa.array([text]))
    assert normalised(once) == once
