"""CSV cells that no spreadsheet runs, and that programs read back exactly."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dealrec.coresets.cells import shown, shown_table

FORMULAS = ["=1+1", "+1", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠A"]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_opens_a_formula_is_shown_as_text(text):
    assert shown(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a=1", " =1", "[1]", "007", "\\d", "^x", "]"])
def test_other_text_stays(text):
    assert shown(text) == text


@given(st.lists(st.text() | st.sampled_from([*FORMULAS, "'", "''=1"])))
def test_one_apostrophe_less_is_what_it_was(texts):
    cells = [shown(text) for text in texts]
    assert [cell.removeprefix("'") for cell in cells] == texts
    table = pa.table({"text": pa.array(texts, pa.string()), "number": [-1.5] * len(texts)})
    assert shown_table(table).to_pydict() == {"text": cells, "number": [-1.5] * len(texts)}


def test_nothing_stays_nothing():
    table = pa.table({"text": pa.array([None, "=1"])})
    assert shown_table(table)["text"].to_pylist() == [None, "'=1"]
