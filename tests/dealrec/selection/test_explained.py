from dataclasses import replace

import numpy as np

from dealrec.config import SelectionConfig
from dealrec.selection.select import select
from tests.dealrec.selection.inputs import whole_scores


def drawn(scores, budget, **options):
    return [
        select(scores, budget, SelectionConfig(method="explained", seed=seed, **options)).indices
        for seed in range(40)
    ]


def test_the_draw_is_from_the_middle_of_what_the_history_tells():
    scores = whole_scores(200)
    assert scores.likelihood is not None and scores.targets is not None
    share = np.bincount(scores.targets)[scores.targets] / 200
    place = np.argsort(np.argsort(scores.likelihood - np.log(share)))
    taken = place[np.concatenate(drawn(scores, 20, band=0.4, per_target=99))]
    assert (taken.min(), taken.max()) == (60, 139)


def test_a_frequent_target_needs_a_likelier_prediction():
    """A target of half of all samples that is given probability 1/2 is not explained at all."""
    targets = np.array([0] * 50 + [1] * 50, np.int32)
    likelihood = np.log(np.where(targets == 0, 0.5, 0.9))
    scores = replace(whole_scores(100), targets=targets, likelihood=likelihood)
    selection = select(scores, 10, SelectionConfig(method="explained"))
    assert selection.overall[:50].max() < selection.overall[50:].min()
    surprised = replace(scores, likelihood=np.log(np.where(targets == 0, 0.5, 0.1)))
    again = select(surprised, 10, SelectionConfig(method="explained"))
    assert again.overall[:50].min() > again.overall[50:].max()


def test_no_target_gives_more_than_it_may_while_others_have_some():
    scores = whole_scores(300)
    assert scores.targets is not None
    for taken in drawn(scores, 25, per_target=1)[:5]:
        assert np.bincount(scores.targets[taken]).max() == 1
