"""The same file in other chunks is the same data set."""

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dealrec.data import streams
from dealrec.data.readers import open_table
from tests.dealrec.data.files import INTERACTIONS, ITEMS, ingest_bytes, pack, write_table

cells = st.text(st.sampled_from('ab,"\n\t é;'), max_size=6)
tables = st.lists(st.tuples(cells, cells), min_size=1, max_size=8)


@pytest.mark.parametrize("layout", ["csv", "tsv", "jsonl", "inter"])
@pytest.mark.parametrize("size", [1, 7, 64])
def test_chunks_do_not_change_the_data_set(tmp_path, monkeypatch, layout, size):
    content = write_table(INTERACTIONS, layout), write_table(ITEMS, layout)
    whole = ingest_bytes(tmp_path, *content).dataset.sha256
    monkeypatch.setattr(streams, "CHUNK_BYTES", size)
    monkeypatch.setattr(streams.UnpackedFile._unpack, "__defaults__", (size,))
    assert ingest_bytes(tmp_path, *content).dataset.sha256 == whole
    packed = [pack(part, ".gz") for part in content]
    assert ingest_bytes(tmp_path, *packed).dataset.sha256 == whole


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=tables,
    size=st.sampled_from([1, 5, 1000]),
    delimiter=st.sampled_from(",\t"),
)
def test_what_a_csv_writer_writes_is_read_back(tmp_path, monkeypatch, rows, size, delimiter):
    if delimiter == "\t":  # whose records do not span lines
        rows = [(first.replace("\n", ""), second.replace("\n", "")) for first, second in rows]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("first", "second"), *rows])
    path = tmp_path / "table"
    path.write_bytes(text.getvalue().encode())
    monkeypatch.setattr(streams.UnpackedFile._unpack, "__defaults__", (size,))
    batches = list(open_table(path, "table").table.batches(["first", "second"]))
    found = [
        pair
        for batch in batches
        for pair in zip(*(column.to_pylist() for column in batch.columns.values()), strict=True)
    ]
    assert found == rows
    starts = [number for batch in batches for number in batch.rows.tolist()]
    lines = text.getvalue().split("\n")
    ends = [line for row in rows for line in [1 + row[0].count("\n") + row[1].count("\n")]]
    assert starts == [2 + sum(ends[:index]) for index in range(len(rows))]
    assert len(lines) == 2 + sum(ends)
