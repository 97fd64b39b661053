"""Warnings about files that do not say what their authors meant."""

import pytest

from dealrec.config import SplitMethod
from dealrec.errors import InputError
from tests.dealrec.data.files import ingest_bytes

HEADER = "user_id,item_id,timestamp\n"
GOOD = HEADER + "".join(f"u{at % 4},i{at % 7},{1_600_000_000 + 977 * at}\n" for at in range(40))
ITEMS = "item_id,title\n" + "".join(f"i{at},Title {at}\n" for at in range(7))


def told(tmp_path, rows=GOOD, items=ITEMS, **options):
    result = ingest_bytes(tmp_path, rows.encode(), items.encode(), **options)
    return {entry["code"]: entry for entry in result.report["warnings"]}


def times(*written):
    return HEADER + "".join(f"u{at % 4},i{at % 7},{time}\n" for at, time in enumerate(written))


def test_a_sound_file_gets_no_warning(tmp_path):
    assert told(tmp_path) == {}


@pytest.mark.parametrize(
    "written",
    ["NaN", "\\N", "#N/A", "NA", "null", "None", "<NA>", "#REF!", "(not set)", "-", "unknown"],
)
@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_words_for_a_missing_id_are_told_of(tmp_path, written, column):
    row = f"{written},i1" if column == "user_id" else f"u1,{written}"
    rows = GOOD + f"{row},1600050000\n{row},1600060000\n"
    entry = told(tmp_path, rows)["missing_as_text"]
    assert entry["count"] == 2
    assert f"In 2 rows of interactions.csv, `{column}` is `{written}`" in entry["message"]


def test_words_for_a_missing_title_are_told_of(tmp_path):
    items = (
        ITEMS.replace("Title 1", "NaN").replace("Title 2", "None").replace("Title 3", "Nan Goldin")
    )
    entry = told(tmp_path, items=items)["missing_as_text"]
    assert entry["count"] == 2
    assert "`title` is `NaN`, `None`" in entry["message"]


@pytest.mark.parametrize(
    ("code", "count", "example", "written"),
    [
        ("mixed_time_units", 20, "1600000000000", [*range(1_600_000_977, 1_600_020_000, 977)]),
        ("implausible_times", 20, "0 (1970-01-01)", [0] * 20),
        ("implausible_times", 20, "-1 (1969-12-31)", [-1] * 20),
        ("implausible_times", 20, "1900-01-01", ["1900-01-01"] * 20),
        ("future_times", 20, "2100-01-01", ["2100-01-01"] * 20),
        ("mixed_time_units", 20, "20200913", [20_200_913] * 20),
    ],
)
def test_times_that_nobody_can_mean_are_told_of(tmp_path, code, count, example, written):
    others = [1_600_000_000 + 977 * at for at in range(1, 31)]
    if code == "mixed_time_units" and written[0] > 1e9:
        others = [time * 1000 for time in others]
        others[0] = 1_600_000_000_000
    found = told(tmp_path, times(*others, *written), split=SplitMethod.LEAVE_ONE_OUT)
    assert found[code]["count"] == count
    assert example in found[code]["message"]
    assert set(found) <= {code, "tied_interactions"}


@pytest.mark.parametrize(
    "written", [range(40), range(1990, 2030), range(20_200_101, 20_200_131)], ids=str
)
def test_counts_of_another_kind_are_no_odd_times(tmp_path, written):
    assert told(tmp_path, times(*written)) == {}


def test_equal_times_are_told_of_where_they_decide(tmp_path):
    rows = times(*[1_600_000_000] * 40)
    found = told(tmp_path, rows)
    assert found["tied_split"]["count"] == found["tied_interactions"]["count"] == 28
    assert "`--split leave_one_out`" in found["tied_split"]["message"]
    assert set(told(tmp_path, rows, split=SplitMethod.LEAVE_ONE_OUT)) == {"tied_interactions"}


def test_a_position_beside_equal_times_settles_the_order(tmp_path):
    rows = [f"u{at % 4},i{at % 7},1600000000,{at}\n" for at in range(40)]
    header = HEADER.replace("timestamp", "timestamp,position")
    found = told(tmp_path, header + "".join(rows), split=SplitMethod.LEAVE_ONE_OUT)
    assert found == {}


def test_times_that_a_spreadsheet_has_shortened_are_told_of(tmp_path):
    rows = times(*(f"{1.6 + at / 1e5:.5f}E+09" for at in range(40)))
    assert told(tmp_path, rows)["rounded_times"]["count"] == 40


def test_ids_that_a_spreadsheet_has_shortened_are_told_of(tmp_path):
    for written in ("4.71009E+12", '"4,71009E+12"'):
        rows = GOOD + f"u1,{written},1600050000\nu2,{written},1600060000\n"
        entry = told(tmp_path, rows, ITEMS + f"{written},EAN\n")["rounded_ids"]
        assert f"`{written.strip(chr(34))}`" in entry["message"]


@pytest.mark.parametrize(
    "title",
    ["Tom &amp; Jerry", "It&#39;s", "<b>Bold</b>", "x<br/>", "var a = (new Date()).getTime();"],
)
def test_html_in_titles_is_told_of(tmp_path, title):
    items = ITEMS.replace("Title 1", title)
    assert told(tmp_path, items=items, clean_titles=False)["html_in_titles"]["count"] == 1


@pytest.mark.parametrize("title", ["Q&A; or not", "I <3 You", "1 < 2 > 0", "AT&T", "<Deluxe>"])
def test_signs_in_titles_are_no_html(tmp_path, title):
    items = ITEMS.replace("Title 1", title)
    for clean in (True, False):
        found = told(tmp_path, items=items, clean_titles=clean)
        assert not {"html_in_titles", "titles_cleaned"} & found.keys()


def test_a_position_beside_a_timestamp_may_be_blank_but_not_a_word_in_silence(tmp_path):
    rows = (
        "user_id,item_id,timestamp,position\n"
        "u,a,1600000000,\nu,b,1600000977,2\nu,c,1600002000,top\nu,d,1600003000,\n"
    )
    result = ingest_bytes(tmp_path, rows.encode(), split=SplitMethod.LEAVE_ONE_OUT)
    assert result.report["accepted_rows"] == 4
    left_out = [w for w in result.report["warnings"] if w["code"] == "cells_left_out"]
    assert [(w["count"], "`position`" in w["message"]) for w in left_out] == [(1, True)]


def test_ids_that_do_not_meet_are_shown(tmp_path):
    with pytest.raises(InputError, match=r"`i0\.0`.*`i0`"):
        told(tmp_path, items="item_id,title\ni0.0,A\n")
