"""Paths and tables in memory, as the library takes them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dealrec
from dealrec.config import DataOptions, data_options, parse_budget
from dealrec.config.comparison import ComparisonConfig
from dealrec.config.data import AS_THEY_ARE
from dealrec.errors import InputError
from dealrec.sources import source_files

TABLE = pa.table({"user_id": ["u", "u"], "item_id": ["a", "b"], "position": [1, 2]})


class Frame:
    """A table that shows nothing but the Arrow PyCapsule interface, as DataFrames do."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


class Array:
    """A record batch that shows nothing but the Arrow PyCapsule interface."""

    def __init__(self, batch):
        self._batch = batch

    def __arrow_c_array__(self, requested_schema=None):
        return self._batch.__arrow_c_array__(requested_schema)


def refusal(interactions, **options):
    settings = {"items": None, "options": AS_THEY_ARE, **options}
    with pytest.raises(InputError) as refused, source_files(interactions, **settings):
        pass
    return refused.value


@pytest.mark.parametrize(
    "source",
    [TABLE, TABLE.to_batches()[0], TABLE.to_reader(), Frame(TABLE), Array(TABLE.to_batches()[0])],
    ids=["table", "batch", "reader", "frame", "array"],
)
def test_a_table_in_memory_is_read_whoever_made_it(source):
    with source_files(source, TABLE, AS_THEY_ARE) as files:
        assert files.interactions is not None
        assert pq.read_table(files.interactions.path).equals(TABLE)
        assert files.items is not None


def test_several_tables_are_read_as_several_files_and_rows_as_one():
    with source_files([*TABLE.to_batches(1), Frame(TABLE)], None, AS_THEY_ARE) as files:
        assert files.interactions is not None
        parts = [pq.read_table(path).num_rows for path in files.interactions.paths()]
    assert parts == [1, 1, 2]
    with source_files(TABLE.to_pylist(), None, AS_THEY_ARE) as files:
        assert files.interactions is not None
        assert pq.read_table(files.interactions.path).equals(TABLE)


@pytest.mark.parametrize(("source", "kind"), [(7, "int"), ([7], "int"), (object(), "object")])
def test_what_is_no_table_is_refused_by_its_type(source, kind):
    refused = refusal(source)
    assert refused.code == "not_tabular"
    assert kind in refused.detail


def test_nothing_at_all_is_refused():
    assert refusal(None).code == "no_data"


def test_a_path_that_cannot_be_read_is_refused_in_a_sentence(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("user_id,item_id,position\n")
    assert refusal(tmp_path / "lok.csv").detail == f"There is no file {tmp_path / 'lok.csv'}."
    assert refusal(log, items=tmp_path / "titles.csv").code == "no_such_file"


def test_an_unknown_split_is_refused_with_those_that_there_are(tmp_path):
    with pytest.raises(InputError, match=r"data.split. must be one of .*leave_one_out") as refused:
        dealrec.prune(TABLE, budget=1, split="random", out=tmp_path / "out")
    assert refused.value.code == "invalid_config"


def test_an_option_of_the_data_is_given_once():
    assert data_options({"split": "column"}, columns={"user_id": "who"}, split=None) == DataOptions(
        split="column", columns={"user_id": "who"}
    )
    with pytest.raises(InputError, match="`split` is given by itself and in `data`"):
        dealrec.prune(TABLE, budget=1, split="column", data={"split": "column"}, out="out")


def test_budgets_may_be_numbers_of_numpy():
    numbers = [np.int64(8), np.uint8(3), np.float32(0.02), np.float64(0.5), np.float32(4)]
    assert [parse_budget(number) for number in numbers] == [8, 3, 0.02, 0.5, 4]
    assert all(type(parse_budget(number)) in (int, float) for number in numbers)
    given = {"budgets": list(np.arange(2, 4)), "selectors": ["dealrec"]}
    config = ComparisonConfig.parse(given, location="comparison")
    assert list(config.budgets) == [2, 3]


@pytest.mark.parametrize("number", [np.bool_(True), np.float64("nan"), np.int64(0), 1 + 0j])
def test_numbers_that_are_no_budget_are_refused(number):
    with pytest.raises(InputError):
        parse_budget(number)
