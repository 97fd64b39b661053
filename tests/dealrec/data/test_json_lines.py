"""JSON Lines whose objects do not have the same fields, or hold values of several kinds."""

import json

import pytest

from dealrec.data import streams
from dealrec.data.limits import Limits
from dealrec.errors import InputError
from tests.dealrec.data.files import ingest_bytes

ROWS = b"user_id,item_id,position\nu,a,1\nu,b,2\nu,c,3\nu,a,4\n"


def lines(*objects):
    return "\n".join(json.dumps(fields) for fields in objects).encode()


def test_a_field_that_is_not_needed_never_rejects_an_item(tmp_path):
    items = lines(
        {"item_id": "a", "title": "A", "brand": "Acme", "new": "yes", "long": "x"},
        {"item_id": "b", "title": "B", "brand": ["Acme"], "new": True, "long": "x" * 70_000},
        {"item_id": "c", "title": "C", "brand": {"name": "Acme"}, "new": "\ud800"},
        {"item_id": "d", "title": ["D"]},
    )
    result = ingest_bytes(tmp_path, ROWS, items)
    counts = result.report["items"]
    assert counts is not None
    assert (counts["accepted_rows"], counts["rejected_rows"]) == (3, 1)
    assert [(r["row"], r["column"]) for r in result.report["rejections"]] == [(4, "title")]
    assert result.dataset.titles.to_pylist() == ["A", "B", "C"]
    texts = {name: text.to_pylist() for name, text in result.dataset.item_texts.items()}
    assert texts == {
        "brand": ["Acme", None, None],
        "new": ["yes", None, None],
        "long": ["x", None, None],
    }
    assert [w["count"] for w in result.report["warnings"] if w["code"] == "cells_left_out"] == [1]


def test_text_fields_of_later_objects_are_read(tmp_path):
    items = lines(
        {"item_id": "a"}, {"item_id": "b", "title": "B"}, {"item_id": "c", "brand": "Acme"}
    )
    dataset = ingest_bytes(tmp_path, ROWS, items).dataset
    assert dataset.titles.to_pylist() == ["a", "B", "c"]
    assert dataset.item_texts["brand"].to_pylist() == [None, None, "Acme"]


def test_needed_fields_are_looked_for_to_the_end_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(streams.UnpackedFile._unpack, "__defaults__", (1000,))
    bare = [{"user_id": "u", "item": "a"}] * 3000
    last = [{"user_id": "u", "item": name, "at": at} for at, name in enumerate("abcd")]
    items = [{"item_id": f"other {at}", "price": 1} for at in range(3000)]
    result = ingest_bytes(
        tmp_path,
        lines(*bare, *last),
        lines(*items, {"item_id": "b", "name ü": "B"}),
        columns={"item_id": "item", "timestamp": "at", "title": "name ü"},
    )
    assert result.report["rejected_rows"] == 3000
    assert result.dataset.titles.to_pylist()[:4] == ["a", "B", "c", "d"]


def test_an_order_column_that_only_later_objects_have_is_found(tmp_path):
    bare = [{"user_id": "u", "item_id": "a"}] * 3000
    last = [{"user_id": "u", "item_id": name, "position": at} for at, name in enumerate("abcd")]
    assert ingest_bytes(tmp_path, lines(*bare, *last)).counts["interactions"] == 4


def test_a_field_that_no_object_has_as_text_is_missing(tmp_path):
    with pytest.raises(InputError) as refusal:
        ingest_bytes(
            tmp_path, ROWS, lines({"item_id": "a", "note": "title"}, {"title": {"en": "A"}})
        )
    assert refusal.value.code == "missing_column"


def test_nan_is_a_missing_value(tmp_path):
    rows = b'{"user_id": NaN, "item_id": "a", "position": 1}\n' + lines(
        *({"user_id": "u", "item_id": name, "position": at} for at, name in enumerate("abcd"))
    )
    items = b'{"item_id": "a", "title": NaN}\n{"item_id": "b", "title": "B"}'
    result = ingest_bytes(tmp_path, rows, items)
    assert [r["reason"] for r in result.report["rejections"]] == ["empty_user_id"]
    assert result.dataset.titles.to_pylist() == ["a", "B", "c", "d"]


def test_infinity_is_a_missing_value(tmp_path):
    rows = b'{"user_id": -Infinity, "item_id": "a", "position": 1}\n' + lines(
        *({"user_id": "u", "item_id": name, "position": at} for at, name in enumerate("abcd"))
    )
    result = ingest_bytes(tmp_path, rows, allowed_rejected=0.3)
    assert [r["reason"] for r in result.report["rejections"]] == ["empty_user_id"]


def test_what_python_wrote_and_is_no_literal_is_missing_and_costs_no_row(tmp_path):
    odd = ["nan", "-inf", "datetime.date(2020, 1, 1)", "[nan, 1]", "{'a': ObjectId('5f')}", "-1"]
    rows = "".join(
        f"{{'user_id': 'u', 'item_id': 'i{at}', 'position': {at}, 'extra': {value}}}\n"
        for at, value in enumerate(odd)
    )
    rows += "{'user_id': nan, 'item_id': 'a', 'position': 9}\n__import__('os').getcwd()\n"
    report = ingest_bytes(tmp_path, rows.encode(), allowed_rejected=0.3).report
    assert report["accepted_rows"] == len(odd)
    assert [r["reason"] for r in report["rejections"]] == ["empty_user_id", "invalid_json"]


def test_objects_with_too_many_fields_in_all_are_refused(tmp_path):
    items = lines({"item_id": "a", "title": "A"}, *({f"f{at}": "x"} for at in range(9)))
    with pytest.raises(InputError) as refusal:
        ingest_bytes(tmp_path, ROWS, items, limits=Limits(columns=8))
    assert refusal.value.code == "too_many_columns"


def test_of_several_rows_of_an_item_the_first_with_a_title_counts(tmp_path):
    items = b"item_id,title\na,\nb,B\na,A\na,Again\nb,\nc,\nc,\n"
    result = ingest_bytes(tmp_path, ROWS, items)
    assert result.dataset.titles.to_pylist() == ["A", "B", "c"]
    assert [r["row"] for r in result.report["rejections"]] == [2, 5, 6, 8]
