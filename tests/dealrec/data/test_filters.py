"""Filters of interactions: what they leave, and that every row is counted."""

import csv
import io
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dealrec.config import DataOptions
from dealrec.data.ingest import IngestResult, ingest
from dealrec.errors import InputError
from tests.dealrec.data.files import ingest_bytes

HEADER = ["user_id", "item_id", "timestamp", "rating", "event"]
DAY = 86_400
START = 1_700_000_000
ROWS = [
    *[("a", f"i{n}", START + n * DAY, n % 5 + 1, "buy") for n in range(10)],
    *[("b", f"i{n}", START + n * DAY + 1, 5, "view" if n % 2 else "buy") for n in range(6)],
    ("c", "i0", START, 4, "buy"),
    ("c", "i9", START + 9 * DAY, 4, "buy"),
    ("a", "i9", START + 11 * DAY, 5, "buy"),
]


def written(rows) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEADER, *rows])
    return text.getvalue().encode()


def left(result: IngestResult) -> list[tuple[str, str]]:
    dataset = result.dataset
    users, items = dataset.user_ids.to_pylist(), dataset.item_ids.to_pylist()
    return [
        (users[user], items[item])
        for user, item in zip(dataset.users(), dataset.items, strict=True)
    ]


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        ({"min_rating": 4}, lambda row: row[3] >= 4),
        ({"events": "buy, sell"}, lambda row: row[4] == "buy"),
        ({"last_days": 5.5}, lambda row: row[2] >= START + 5.5 * DAY),
        ({"repeats": "first"}, lambda row: row[:3] != ("a", "i9", START + 11 * DAY)),
        ({"repeats": "last"}, lambda row: row[:3] != ("a", "i9", START + 9 * DAY)),
        ({"user_core": 3}, lambda row: row[0] != "c"),
        ({"item_core": 2}, lambda row: row[1] in ("i0", "i1", "i2", "i3", "i4", "i5", "i9")),
        ({"min_rating": 4, "events": "buy"}, lambda row: row[3] >= 4 and row[4] == "buy"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_filter_leaves_what_it_says_and_counts_the_rest(tmp_path, options, passes):
    result = ingest_bytes(tmp_path, written(ROWS), split="leave_one_out", **options)
    expected = [row[:2] for row in ROWS if passes(row)]
    assert Counter(left(result)) == Counter(expected)
    removed = result.report["removed"]
    assert {removal["filter"] for removal in removed} == set(options)
    assert sum(removal["rows"] for removal in removed) == len(ROWS) - len(expected)
    assert result.report["accepted_rows"] == len(ROWS)
    assert all(removal["message"].startswith(f"{removal['rows']:,} ") for removal in removed)


def test_the_core_is_taken_until_nobody_has_too_few(tmp_path):
    chain = [("a", "i0"), ("a", "i1"), ("b", "i1"), ("b", "i2"), ("c", "i2")]
    block = [(user, item) for user in "xyz" for item in ("j0", "j1", "j2")]
    rows = [(*pair, START + n, 5, "buy") for n, pair in enumerate([*chain, *block])]
    result = ingest_bytes(tmp_path, written(rows), user_core=2, item_core=2)
    assert set(left(result)) == set(block)  # the chain falls one by one, from its ends
    assert result.dataset.item_ids.to_pylist() == ["j0", "j1", "j2"]


def test_items_with_short_titles_are_left_out_of_the_catalogue_too(tmp_path):
    items = "item_id,title\n" + "".join(f"i{n},{'T' * n}\n" for n in range(10)) + "other,Tt\n"
    result = ingest_bytes(tmp_path, written(ROWS), items.encode(), min_title_length=4)
    assert result.dataset.item_ids.to_pylist() == [f"i{n}" for n in range(4, 10)]
    assert all(item >= "i4" for _, item in left(result))


@pytest.mark.parametrize(
    ("options", "code", "named"),
    [
        ({"min_rating": 6}, "nothing_left", "`min_rating` removes 19"),
        ({"user_core": 20}, "nothing_left", "`user_core` removes 19"),
        ({"min_title_length": 3}, "filter_not_possible", "an items file"),
    ],
)
def test_a_filter_that_cannot_work_is_named(tmp_path, options, code, named):
    with pytest.raises(InputError, match=named) as refused:
        ingest_bytes(tmp_path, written(ROWS), **options)
    assert refused.value.code == code


@pytest.mark.parametrize("options", [{"min_rating": 3}, {"events": ["buy"]}, {"last_days": 2}])
def test_a_filter_without_its_column_is_refused_by_the_column(tmp_path, options):
    rows = b"user_id,item_id,position\n" + b"".join(b"u,%d,%d\n" % (n, n) for n in range(5))
    with pytest.raises(InputError, match=next(iter(options))) as refused:
        ingest_bytes(tmp_path, rows, **options)
    assert refused.value.code == "filter_not_possible"


def test_a_column_that_no_filter_reads_is_said_to_be_unused(tmp_path):
    reports = [
        ingest_bytes(tmp_path, written(ROWS)).report,
        ingest_bytes(tmp_path, written(ROWS), min_rating=1).report,
    ]
    assert [report["files"][0]["unused"] for report in reports] == [["rating", "event"], ["event"]]


def test_a_rating_that_is_no_number_rejects_its_row_only_where_it_is_needed(tmp_path):
    rows = [*ROWS, ("d", "i1", START, "good", "buy"), ("d", "i2", START + 1, "", "buy")]
    assert ingest_bytes(tmp_path, written(rows)).report["rejected_rows"] == 0
    report = ingest_bytes(tmp_path, written(rows), min_rating=1).report
    assert {found["reason"]: found["rows"] for found in report["reasons"]} == {"invalid_rating": 2}


ROW = st.tuples(
    st.sampled_from("abcdef"),
    st.sampled_from([f"i{n}" for n in range(8)]),
    st.integers(START, START + 40),
    st.sampled_from([1, 2, 3, 4, 5, "bad"]),
    st.sampled_from(["buy", "view", ""]),
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "min_rating": st.integers(1, 3),
        "events": st.just(["buy"]),
        "last_days": st.floats(0.0001, 0.001),
        "repeats": st.sampled_from(["first", "last"]),
        "user_core": st.integers(1, 3),
        "item_core": st.integers(1, 3),
    },
)


@given(rows=st.lists(ROW, min_size=20, max_size=60), options=OPTIONS, seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_every_row_is_accepted_or_rejected_and_the_order_of_rows_means_nothing(
    tmp_path_factory, rows, options, seed
):
    folder = tmp_path_factory.mktemp("rows")
    shuffled = [rows[place] for place in np.random.default_rng(seed).permutation(len(rows))]
    hashes = []
    for order in (rows, shuffled):
        try:
            result = ingest_bytes(folder, written(order), **options)
        except InputError as refused:
            hashes.append(refused.code)
            continue
        report = result.report
        assert report["accepted_rows"] + report["rejected_rows"] == len(rows)
        removed = sum(removal["rows"] for removal in report["removed"])
        assert report["accepted_rows"] - removed == result.counts["interactions"]
        hashes.append(result.dataset.sha256)
    assert hashes[0] == hashes[1]


def test_items_that_do_not_match_are_said_to_where_a_core_is_asked_for(tmp_path):
    (tmp_path / "a.csv").write_text(
        "user_id,item_id,timestamp\n"
        + "".join(f"u{n},i{k},{k}\n" for n in range(4) for k in range(4))
    )
    (tmp_path / "i.csv").write_text("item_id,title\nx1,One\nx2,Two\n")
    with pytest.raises(InputError) as raised:
        ingest(
            tmp_path / "a.csv",
            items=tmp_path / "i.csv",
            options=DataOptions.parse({"item_core": 2}, location="data"),
            out=tmp_path / "out",
        )
    assert raised.value.code == "items_do_not_match"
