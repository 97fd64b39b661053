"""``explained``: samples whose target the history explains neither badly nor too well."""

import numpy as np

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.interface import Scores, Selection, priorities
from dealrec.selection.normalisation import normalise
from dealrec.selection.results import as_groups, capped


def select_explained(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Draw from the middle ``band`` (a share) of the samples by what the history tells of the target.

    The score is ``log p(target | history) − log p(target)`` in nats: the surrogate's probability after
    the history, and the target's share of all targets (the pointwise mutual information of Church and
    Hanks, Computational Linguistics 1990). At the low end the surrogate finds the target unlikelier than
    chance: noise, or taste that it cannot see. At the high end are repetitions and series, from which there
    is little to learn. (The surrogate was trained on the samples, so the high end also holds what it
    remembers.) The band has at least ``budget`` samples. Within it the draw is
    random, with at most ``per_target`` samples of one target while others have some left. Stratum 0 is
    below the band, 1 the band, 2 above it. This selector is our own.
    """
    assert scores.likelihood is not None and scores.targets is not None
    counts = np.bincount(scores.targets)[scores.targets]
    explained = scores.likelihood - np.log(counts / len(scores))
    size = min(len(scores), max(budget, int(np.ceil(config.band * len(scores)))))
    first = (len(scores) - size) // 2
    order = np.lexsort((priorities(scores, config.seed), explained))
    strata = np.ones(len(scores), dtype=np.int32)
    strata[order[:first]], strata[order[first + size :]] = 0, 2
    taken = capped(scores, np.zeros(len(scores)), budget, config, among=strata == 1)
    return as_groups(taken, normalise(explained, Normalisation.RANK), strata)
