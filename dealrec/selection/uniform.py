"""``random``: the control that every other selector is compared with."""

import numpy as np

from dealrec.config import SelectionConfig
from dealrec.selection.interface import Scores, Selection, StratumUse, priorities
from dealrec.selection.normalisation import overall_score


def select_uniform(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Draw ``budget`` samples uniformly without replacement; all samples are one stratum."""
    overall = overall_score(scores, config)
    taken = np.argsort(priorities(scores, config.seed), kind="stable")[:budget]
    return Selection(
        indices=np.sort(taken).astype(np.int64),
        overall=overall,
        stratum=np.zeros(len(scores), dtype=np.int32),
        strata=[StratumUse(0, float(overall.min()), float(overall.max()), len(scores), budget)],
    )
