"""Quotes that enclose cells, quotes that are characters, and quotes that are never closed."""

import pytest

from dealrec.data.limits import Limits
from dealrec.errors import InputError
from tests.dealrec.data.files import ingest_bytes

ROWS = b"user_id,item_id,position\nu,a,1\nu,b,2\nu,c,3\nu,a,4\n"


def titles(tmp_path, items):
    dataset = ingest_bytes(tmp_path, ROWS, items).dataset
    return dict(zip(dataset.item_ids.to_pylist(), dataset.titles.to_pylist(), strict=True))


def test_a_line_of_a_tab_separated_file_is_a_record_whatever_quotes_are_in_it(tmp_path):
    items = b'item_id\ttitle\na\t"River\nb\t"Copper" Lantern\nc\tThe "Seven\nd\tLast"\n'
    assert titles(tmp_path, items) == {
        "a": '"River',
        "b": '"Copper" Lantern',
        "c": 'The "Seven',
        "d": 'Last"',
    }


def test_quotes_that_enclose_a_tab_separated_cell_are_taken_off(tmp_path):
    items = b'"item_id"\t"title"\na\t"The ""Seven"""\n"b"\t"with\ttab"\nc\t""\n'
    assert titles(tmp_path, items) == {"a": 'The "Seven"', "b": "with tab", "c": "c"}


def test_tabs_that_separate_too_many_cells_are_a_bad_row(tmp_path):
    items = b'item_id\ttitle\na\t"A"\tmore\nb\t"B\tb"\nc\tC\n'
    result = ingest_bytes(tmp_path, ROWS, items)
    assert [(r["row"], r["reason"]) for r in result.report["rejections"]] == [
        (2, "wrong_column_count")
    ]
    assert result.dataset.titles.to_pylist() == ["a", "B b", "C"]


@pytest.mark.parametrize(
    ("items", "line"),
    [
        (b'item_id,title\na,A\nb,"B\nc,C\n', 3),
        (b'item_id,title\na,"A\nb,B\nc,"C"\n', 2),
        (b'item_id,title\na,"A\nA"\nb,"B\nc,"C, Inc."\nd,D\n', 4),
        (b'item_id,title\na,"say ""A\nb,5" disc\nc,"C"\n', 2),
        (b'item_id,title\na,5" disc\nb,"B\nc,"C"\n', 3),
    ],
)
def test_a_quote_that_is_never_closed_is_named_by_its_line(tmp_path, items, line):
    with pytest.raises(InputError) as refusal:
        ingest_bytes(tmp_path, ROWS, items, items_name="things.csv")
    assert [error.location for error in refusal.value.errors] == [f"things.csv:{line}"]


def test_a_record_that_grows_beyond_the_limit_is_named_by_its_line(tmp_path):
    items = b'item_id,title\na,A\nb,"B\n' + b"c,C\n" * 100
    with pytest.raises(InputError, match=r"things.csv:3: .* a quote in it is never closed"):
        ingest_bytes(tmp_path, ROWS, items, items_name="things.csv", limits=Limits(line_bytes=300))


def test_a_cell_over_several_lines_may_hold_escaped_quotes(tmp_path):
    items = b'item_id,title\na,"A ""quoted\nover ""two"" lines"""\nb,"B" b\nc,"5"" disc"\n'
    assert titles(tmp_path, items) == {
        "a": 'A "quoted over "two" lines"',
        "b": "B b",
        "c": '5" disc',
    }
