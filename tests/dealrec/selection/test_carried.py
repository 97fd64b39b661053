import numpy as np
import pyarrow as pa
import pytest

from dealrec.config import SelectionConfig
from dealrec.config.continuation import Carry, Continuation
from dealrec.selection.carried import carried
from dealrec.selection.select import select
from tests.dealrec.selection.inputs import whole_scores


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("carry", Carry)
def test_members_stay_as_the_continuation_says(carry: Carry, share: float) -> None:
    scores = whole_scores(200)
    config = SelectionConfig(method="influence_strata", strata=4)
    anew = select(scores, 20, config)
    before = [*scores.keys.to_pylist()[:16], "gone"]
    continuation = Continuation(coreset=carry, replaced_share=share)
    found = carried(scores, anew, pa.array(before), continuation, seed=0)
    taken = found.selection.indices
    assert len(taken) == 20 and (np.diff(taken) > 0).all()
    assert sum(use.selected for use in found.selection.strata) == 20
    members = {scores.keys[int(index)].as_py() for index in taken}
    kept = members & {*before}
    assert (found.members_before, found.members_there) == (17, 16)
    assert found.members_kept == len(kept)
    fresh = len({*anew.indices.tolist()} - {*range(16)})
    expected = {
        Carry.ANEW: 20 - fresh,
        Carry.TOP_UP: 16,
        Carry.REPLACE: 20 - min(fresh, max(round(share * 20), 4)),
    }
    assert len(kept) == expected[carry]
