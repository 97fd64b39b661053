"""The selection as published, against the published loop written down word for word."""

import numpy as np
import pytest

from dealrec.config import SelectionConfig
from dealrec.selection.select import select
from tests.dealrec.selection.inputs import whole_scores


def published_sizes(scores, budget, weight, count):
    """How many samples each stratum gives: Algorithm 1, one sample at a time."""

    def scaled(values):
        return (values - values.min()) / (values.max() - values.min())

    overall = scaled(scores.influence) + weight * scaled(scores.effort)
    width = (overall.max() - overall.min()) / count
    strata: dict[int, list[int]] = {}
    for sample, value in enumerate(overall):
        index = min(int((value - overall.min()) / width), count - 1)
        strata.setdefault(index, []).append(sample)
    given = {}
    while strata:
        smallest = min(strata, key=lambda index: (len(strata[index]), index))
        given[smallest] = min(len(strata[smallest]), budget // len(strata))
        budget -= given[smallest]
        del strata[smallest]
    return given


@pytest.mark.parametrize("weight", [0.3, 2.0])
def test_strata_give_what_the_published_loop_gives(weight):
    scores = whole_scores(400)
    config = SelectionConfig(method="dealrec_paper", effort_weight=weight, strata=25)
    selection = select(scores, 60, config)
    found = {use.index: use.selected for use in selection.strata if use.available}
    assert found == published_sizes(scores, 60, weight, 25)


def test_nothing_is_dropped_first_and_our_own_options_change_nothing():
    scores = whole_scores(400)
    plain = SelectionConfig(method="dealrec_paper")
    ours = SelectionConfig(
        method="dealrec_paper", hard_prune=0.5, normalisation="rank", stratum_edges="quantile"
    )
    selection = select(scores, 60, plain)
    assert (selection.stratum >= 0).all()
    assert np.array_equal(selection.indices, select(scores, 60, ours).indices)
