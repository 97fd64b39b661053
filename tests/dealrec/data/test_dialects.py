"""Tables in every dialect: what is read is what was written, or the file is refused by name."""

import csv
import io
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dealrec.config import DataOptions
from dealrec.config.formats import SEPARATORS, FileFormat
from dealrec.data.limits import Limits
from dealrec.data.many import parts_of
from dealrec.data.opening import open_interactions
from dealrec.data.readers import open_table
from dealrec.errors import InputError
from tests.dealrec.data.files import ingest_bytes

NAMES = ("user_id", "item_id", "title", "timestamp")
Rows = list[list[str]]
SETTINGS = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
PLAIN = st.text("abzü09-_.é", min_size=1, max_size=6)
MARKS = "ab ,;|:'\"\\\t0é"
ODD = st.text(MARKS, max_size=8)
"""Cells that hold the marks of all dialects."""


def joined(rows: Rows, separator: str) -> str:
    """Lines without quotes."""
    return "".join(separator.join(row) + "\n" for row in rows)


def quoted(rows: Rows, separator: str, **how) -> str:
    """Lines as Python's own writer has them, every cell in quotes."""
    sink = io.StringIO()
    csv.writer(
        sink, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_ALL, **how
    ).writerows(rows)
    return sink.getvalue()


def read(path, **asked) -> Rows:
    table = open_table(path, "table.txt", asked=FileFormat.parse(asked)).table
    batches = list(table.batches(table.column_names))
    assert [row for batch in batches for row in batch.bad] == []
    columns = [[b.columns[name].to_pylist() for b in batches] for name in table.column_names]
    cells = [[cell for part in parts for cell in part] for parts in columns]
    return [table.column_names, *map(list, zip(*cells, strict=True))]


def cells_without(*forbidden: str) -> st.SearchStrategy[str]:
    """Odd cells that hold none of the marks."""
    alphabet = "".join(mark for mark in MARKS if mark not in "".join(forbidden))
    return st.text(alphabet, max_size=8)


@pytest.mark.parametrize("name", SEPARATORS)
@SETTINGS
@given(data=st.data())
def test_unquoted_cells_are_read_as_they_are_written(tmp_path, name, data):
    separator = SEPARATORS[name]
    cell = PLAIN if separator == " " else cells_without(separator).filter(str.strip)
    rows = data.draw(st.lists(st.lists(cell, min_size=4, max_size=4), min_size=1, max_size=8))
    (tmp_path / "table").write_text(joined([list(NAMES), *rows], separator), encoding="utf-8")
    found = read(tmp_path / "table", separator=name, header=True, quote="none")
    assert found == [list(NAMES), *rows]


@pytest.mark.parametrize("name", ["comma", "semicolon", "pipe", "tab", "ctrl_a"])
@pytest.mark.parametrize("mark", ['"', "'"])
@pytest.mark.parametrize("escape", ["doubled", "backslash"])
@SETTINGS
@given(data=st.data())
def test_quoted_cells_are_read_as_they_are_written(tmp_path, name, mark, escape, data):
    cell = ODD if escape == "doubled" else cells_without("\\")
    rows = data.draw(st.lists(st.lists(cell, min_size=4, max_size=4), min_size=1, max_size=8))
    how = {"doublequote": escape == "doubled", "escapechar": None if escape == "doubled" else "\\"}
    text = quoted([list(NAMES), *rows], SEPARATORS[name], quotechar=mark, **how)
    (tmp_path / "table").write_text(text, encoding="utf-8")
    asked = {
        "separator": name,
        "quote": "double" if mark == '"' else "single",
        "escape": escape,
        "header": True,
        "multiline": True,
    }
    assert read(tmp_path / "table", **asked) == [list(NAMES), *rows]


@SETTINGS
@given(rows=st.lists(st.lists(ODD, min_size=2, max_size=2), min_size=1, max_size=8))
def test_the_last_column_takes_the_rest_of_the_line(tmp_path, rows):
    rows = [[f"i{at}", row[1].strip('" \t') or "x"] for at, row in enumerate(rows)]
    (tmp_path / "table").write_text(joined(rows, ","), encoding="utf-8")
    asked = {"separator": ",", "names": "item_id,title", "header": False, "rest": True}
    assert read(tmp_path / "table", **asked)[1:] == rows


WRITERS: dict[str, Callable[[Rows, str], str]] = {
    "unquoted": joined,
    "quoted": quoted,
    "single": lambda rows, separator: quoted(rows, separator, quotechar="'"),
}


@pytest.mark.parametrize("separator", [",", "\t", ";", "|", "\x01"])
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "cp1252"])
def test_a_dialect_that_leaves_no_doubt_is_found(tmp_path, separator, writer, encoding):
    rows = [[f"Zoë {n % 5}", f"café {n % 7}", str(1_600_000_000 + n)] for n in range(40)]
    text = WRITERS[writer]([["user_id", "item_id", "timestamp"], *rows], separator)
    result = ingest_bytes(tmp_path, text.encode(encoding))
    assert result.report["accepted_rows"] == 40
    assert result.dataset.user_ids.to_pylist()[0] == "Zoë 0"
    said = "; ".join(result.report["read"][0]["said"])
    assert (encoding in said) == encoding.startswith(("utf-16", "cp"))


@pytest.mark.parametrize("separator", [",", "\t", ";", "|", "::", " ", "\x01"])
def test_names_by_position_stand_in_for_a_header(tmp_path, separator):
    rows = [[f"u{n % 5}", "x", f"i{n % 7}", str(1_600_000_000 + n)] for n in range(40)]
    content = joined(rows, separator).encode()
    names = "user_id,kind,item_id,timestamp"
    by_name = ingest_bytes(tmp_path, content, format={"names": names})
    columns = {"user_id": "1", "item_id": "3", "timestamp": "4"}
    by_number = ingest_bytes(tmp_path, content, columns=columns)
    assert by_name.report["accepted_rows"] == by_number.report["accepted_rows"] == 40
    assert by_name.dataset.sha256 == by_number.dataset.sha256
    with pytest.raises(InputError, match="does not look like a header"):
        ingest_bytes(tmp_path, content)


@pytest.mark.parametrize("name", ["comma", "tab", "pipe", "double_colon"])
@SETTINGS
@given(data=st.data())
def test_every_row_is_accepted_or_rejected(tmp_path, name, data):
    """The count of the rows is that of lines with something in them, which no reader takes part in."""
    separator = SEPARATORS[name]
    cell = st.sampled_from(["a", "b", "", " ", "7", "2020-01-01", "NaN", "é", "x y"])
    line = st.lists(cell, min_size=0, max_size=5).map(separator.join)
    good = [separator.join(["u", f"i{n}", str(n)]) for n in range(5)]
    lines = data.draw(st.lists(line, max_size=12)) + good
    header = separator.join(["user_id", "item_id", "position"])
    text = "".join(f"{row}\n" for row in [header, *lines])
    result = ingest_bytes(tmp_path, text.encode(), format={"separator": name})
    written = sum(1 for row in lines if row)
    assert result.report["accepted_rows"] + result.report["rejected_rows"] == written


@pytest.mark.parametrize(
    ("before", "skipped"),
    [("# exported\n# twice\n", True), ("% a matrix\n", True), ("sep=;\n", True), ("\n\n", False)],
)
def test_lines_before_the_table_are_left_out_and_told_of(tmp_path, before, skipped):
    rows = "".join(f"u{n % 2};i{n};{n}\n" for n in range(9))
    content = f"{before}user_id;item_id;position\n{rows}"
    result = ingest_bytes(tmp_path, content.encode())
    assert result.report["accepted_rows"] == 9
    assert ("left out" in "; ".join(result.report["read"][0]["said"])) == skipped


def test_a_header_in_a_comment_names_the_columns(tmp_path):
    rows = "".join(f"u{n % 2}\ti{n}\t{n}\n" for n in range(9))
    content = f"# user_id\titem_id\tposition\n{rows}"
    assert ingest_bytes(tmp_path, content.encode()).report["accepted_rows"] == 9


def test_comments_among_the_rows_are_left_out_where_that_is_asked_for(tmp_path):
    content = b"user_id,item_id,position\nu,a,1\n# u,b,2\nu,c,3\n#\nu,d,4\nu,e,5\n"
    result = ingest_bytes(tmp_path, content, format={"comment": "#"})
    assert (result.report["accepted_rows"], result.report["rejected_rows"]) == (4, 0)
    assert "2 lines are comments" in "; ".join(result.report["read"][0]["said"])


def test_spaces_after_separators_do_not_become_part_of_ids(tmp_path):
    rows = "".join(f'"u{n % 2}", "a, b {n}", {n}\n' for n in range(9))
    content = f'"user_id", "item_id", "position"\n{rows}'
    result = ingest_bytes(tmp_path, content.encode())
    assert result.dataset.item_ids.to_pylist()[0] == "a, b 0"
    assert result.dataset.user_ids.to_pylist() == ["u0", "u1"]


def test_columns_that_are_aligned_with_spaces_are_told_apart(tmp_path):
    rows = "".join(f"  u{n % 2}   i{n}{' ' * (n % 3 + 1)}{n}\n" for n in range(9))
    result = ingest_bytes(tmp_path, f"user_id  item_id   position\n{rows}".encode())
    assert result.report["accepted_rows"] == 9
    assert result.dataset.user_ids.to_pylist() == ["u0", "u1"]


def test_missing_values_may_have_a_word(tmp_path):
    content = b"user_id,item_id,position\nu,a,1\nNULL,b,2\nu,\\N,3\nu,d,4\nu,e,5\nu,f,6\n"
    result = ingest_bytes(tmp_path, content, format={"null_values": ["NULL", "\\N"]})
    reasons = {found["reason"] for found in result.report["reasons"]}
    assert reasons == {"empty_user_id", "empty_item_id"}
    assert "2 cells with a word" in "; ".join(result.report["read"][0]["said"])


def test_rows_in_the_order_of_time_need_no_column_for_it(tmp_path):
    content = b"user_id,item_id\nu,c\nu,a\nv,a\nu,b\nu,a\n"
    with pytest.raises(InputError, match=r"data\.format\.order=file"):
        ingest_bytes(tmp_path, content)
    result = ingest_bytes(tmp_path, content, format={"order": "file"})
    items = result.dataset.item_ids.take(result.dataset.items[:4]).to_pylist()
    assert items == ["c", "a", "b", "a"]
    assert result.report["rejected_rows"] == 0


def test_an_open_interactions_table_says_how_it_is_read(tmp_path):
    (tmp_path / "a.csv").write_text("userId;movieId;date\n1;2;13.09.2020\n")
    source = open_interactions(parts_of([tmp_path / "a.csv"]), DataOptions(), limits=Limits())
    assert source.said() == [
        "columns are separated by semicolons",
        "`user_id` is `userId`",
        "`item_id` is `movieId`",
        "`timestamp` is `date`",
    ]
