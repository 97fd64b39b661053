import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dealrec.config import SplitMethod
from dealrec.data.dataset import Dataset
from tests.dealrec.data.files import (
    COMPRESSIONS,
    FORMATS,
    INTERACTIONS,
    ITEMS,
    ingest_bytes,
    pack,
    write_table,
)


def sequences(dataset):
    names = dataset.item_ids.to_pylist()
    bounds = zip(dataset.offsets, dataset.offsets[1:], strict=False)
    return {
        user: [names[item] for item in dataset.items[start:end]]
        for user, (start, end) in zip(dataset.user_ids.to_pylist(), bounds, strict=True)
    }


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("layout", FORMATS)
def test_every_format_and_compression_gives_the_same_data_set(tmp_path, layout, compression):
    items_layout = "item" if layout == "inter" else layout
    result = ingest_bytes(
        tmp_path,
        pack(write_table(INTERACTIONS, layout), compression),
        pack(write_table(ITEMS, layout), compression),
        name=f"i.{layout}{compression}",
        items_name=f"i.{items_layout}{compression}",
    )
    dataset = result.dataset
    assert dataset.user_ids.to_pylist() == ["001", "b c", "ü"]
    assert dataset.item_ids.to_pylist() == ["007", "10", "new", "unused", "x,y"]
    assert dataset.titles.to_pylist() == ['The "Seven"', "Ten", "new", "Never Seen", "Comma, Inc."]
    assert dataset.item_texts["brand"].to_pylist() == ["Acme", None, None, "Ours", None]
    assert sequences(dataset) == {
        "001": ["007", "x,y", "10"],
        "b c": ["10", "x,y"],
        "ü": ["10", "007", "new"],
    }
    assert dataset.splits.tolist() == [0, 0, 2, 0, 0, 0, 0, 1]
    assert result.counts == {
        "users": 3,
        "items": 5,
        "interactions": 8,
        "train": 6,
        "valid": 1,
        "test": 1,
        "valid_users": 1,
        "test_users": 1,
        "samples_per_user": 3,
        "samples_per_interaction": 3,
        "samples_given": 0,
    }
    # Pinned: stored results are found again by this hash.
    expected = "658067ecc6206bee1bad7613e67f045d28efa4f226bca46f2ec2f106c43e6542"
    assert dataset.sha256 == expected
    assert Dataset.load(tmp_path / "out").sha256 == expected


def test_timestamps_stay_beside_the_items(tmp_path):
    saved = ingest_bytes(tmp_path, write_table(INTERACTIONS, "csv")).dataset
    assert saved.times is not None
    assert saved.times.tolist() == [10, 20, 30, 100, 101, 5, 6, 7]
    loaded = Dataset.load(tmp_path / "out")
    assert loaded.times is not None
    assert loaded.times.tolist() == saved.times.tolist()
    later = {**INTERACTIONS, "timestamp": [f"1{time}" for time in INTERACTIONS["timestamp"]]}
    assert ingest_bytes(tmp_path, write_table(later, "csv")).dataset.sha256 != saved.sha256


def test_without_timestamps_the_hash_is_another_one(tmp_path):
    table = {name.replace("timestamp", "position"): cells for name, cells in INTERACTIONS.items()}
    dataset = ingest_bytes(tmp_path, write_table(table, "csv"), write_table(ITEMS, "csv")).dataset
    assert dataset.times is None
    assert dataset.sha256 == "7b5fb3a20d77186a6d3189158da7ca0a92e4c4cc88d62f07ab1a54365ad27f84"


def test_a_data_set_that_the_first_version_stored_loads_without_times(tmp_path):
    saved = ingest_bytes(tmp_path, write_table(INTERACTIONS, "csv")).dataset
    path = tmp_path / "out" / "interactions.parquet"
    pq.write_table(pq.read_table(path).drop_columns("time"), path)
    loaded = Dataset.load(tmp_path / "out")
    assert loaded.times is None
    assert sequences(loaded) == sequences(saved)
    assert loaded.sha256 == saved.sha256


def test_a_saved_data_set_loads_as_it_was(tmp_path):
    saved = ingest_bytes(
        tmp_path, write_table(INTERACTIONS, "csv"), write_table(ITEMS, "csv")
    ).dataset
    loaded = Dataset.load(tmp_path / "out")
    assert sequences(loaded) == sequences(saved)
    assert loaded.item_texts["brand"].equals(saved.item_texts["brand"])
    assert loaded.split_method is SplitMethod.COLUMN


def test_typed_parquet_columns_read_like_their_text(tmp_path):
    sink = pa.BufferOutputStream()
    table = pa.table(
        {
            "user_id": pa.array([1, 1, 2, 2], pa.int64()),
            "item_id": pa.array(["a", "b", "a", "c"]).dictionary_encode(),
            "timestamp": pa.array([1_600_000_000, 1_500_000_000, 5, 6], pa.timestamp("s")),
        }
    )
    pq.write_table(table, sink, row_group_size=1)
    typed = ingest_bytes(tmp_path, sink.getvalue().to_pybytes(), split=SplitMethod.LEAVE_ONE_OUT)
    text = b"user_id,item_id,timestamp\n1,a,1600000000\n1,b,1500000000\n2,a,5\n2,c,6\n"
    written = ingest_bytes(tmp_path, text, split=SplitMethod.LEAVE_ONE_OUT)
    assert typed.dataset.sha256 == written.dataset.sha256
    assert sequences(typed.dataset) == {"1": ["b", "a"], "2": ["a", "c"]}


def test_whole_floats_of_parquet_are_ids_without_a_point(tmp_path):
    sink = pa.BufferOutputStream()
    columns = {"user_id": [1.0, 1.0], "item_id": [1e7, 12.0], "position": [0.0, 1.0]}
    pq.write_table(pa.table(columns), sink)
    dataset = ingest_bytes(tmp_path, sink.getvalue().to_pybytes()).dataset
    assert sequences(dataset) == {"1": ["10000000", "12"]}


def test_json_numbers_stay_as_they_are_written_but_for_the_fraction_of_whole_ones(tmp_path):
    ids = ('"01"', "1.0", "1.50", '"1.0"')
    rows = (f'{{"user_id": 7, "item_id": {one}, "position": {at}}}' for at, one in enumerate(ids))
    lines = "\n\n".join(rows).encode()
    assert sequences(ingest_bytes(tmp_path, lines).dataset) == {"7": ["01", "1", "1.50", "1.0"]}


def test_columns_are_found_under_the_names_that_the_mapping_gives(tmp_path):
    result = ingest_bytes(
        tmp_path,
        b"who,asin,when\nu,a,1\nu,b,2\n",
        b"asin,name\na,Alpha\nb,Beta\n",
        columns={"user_id": "who", "item_id": "asin", "timestamp": "when", "title": "name"},
        split=SplitMethod.LEAVE_ONE_OUT,
    )
    assert result.dataset.titles.to_pylist() == ["Alpha", "Beta"]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfuser_id,item_id,position\nu,a,1\nu,b,2\n",
        b"user_id,item_id,position\r\nu,a,1\r\nu,b,2\r\n",
        b"user_id,item_id,position\ru,a,1\ru,b,2",
        b"\n\nuser_id,item_id,position\n\nu,a,1\n\nu,b,2\n\n",
        b'"user_id","item_id","position"\n"u","a","1"\n"u","b","2"\n',
        b'extra,user_id,item_id,position\n5" disc,u,a,1\n"two\nlines, ""quoted""",u,b,2\n',
        b'extra,user_id,item_id,position\n,u,a,1\n"5"" disc",u,b,2',
    ],
)
def test_ways_to_write_a_csv_give_the_same_data_set(tmp_path, content):
    dataset = ingest_bytes(tmp_path, content).dataset
    assert sequences(dataset) == {"u": ["a", "b"]}


def test_titles_are_put_on_one_line(tmp_path):
    result = ingest_bytes(
        tmp_path,
        b"user_id,item_id,position\nu,a,1\nu,b,2\n",
        b'item_id,title\na,"  Two\r\nlines\tand tabs "\nb,B\n',
    )
    assert result.dataset.titles.to_pylist() == ["Two lines and tabs", "B"]
