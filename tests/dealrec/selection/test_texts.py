"""Selection from texts without ids: no influence, no targets, no history lengths."""

import dataclasses

import pytest

from dealrec.config import SelectionConfig, SelectionMethod
from dealrec.config.texts import text_selectors
from dealrec.coresets.writer import score_table
from dealrec.errors import InputError
from dealrec.selection.select import select
from tests.dealrec.selection.inputs import whole_scores

MISSING = (
    *("influence", "targets", "history_lengths", "times", "day", "el2n", "grand", "likelihood"),
    "titles",
)
TEXTS = dataclasses.replace(whole_scores(40), **dict.fromkeys(MISSING))


@pytest.mark.parametrize("method", SelectionMethod)
def test_selectors_of_texts_need_no_influence_and_others_name_what_is_missing(method):
    config = SelectionConfig(method=method, difficulty="effort", exchanges=2, rounds=2)
    if method not in text_selectors():
        with pytest.raises(InputError) as refused:
            select(TEXTS, 7, config)
        assert refused.value.code == "scores_missing"
        return
    selection = select(TEXTS, 7, config)
    assert len(selection.indices) == 7
    table = score_table(TEXTS, selection)
    assert table["influence"].null_count == 40 and not table["overall"].null_count
