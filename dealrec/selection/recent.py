"""``recent``: random draws from the newest samples."""

import numpy as np

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.interface import Int64, Scores, Selection
from dealrec.selection.normalisation import normalise
from dealrec.selection.recency import newest, time_ranks
from dealrec.selection.results import as_groups, draw


def select_recent(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Draw uniformly among the newest ``window`` (a share) of all samples.

    The window has at least ``budget`` samples, and all that share the time at which it begins. The age
    of a sample is that of its target. This is the sliding window by which recommenders are trained on
    streams (Matuszyk et al., SAC 2015), as a control: it takes what is current and looks at
    nothing else. Stratum 1 is the window, stratum 0 what is older.
    """
    inside = newest(scores, config.window, budget)
    given: Int64 = np.array([0, budget], dtype=np.int64)
    taken = draw(scores, inside.astype(np.int32), given, config.seed)
    overall = normalise(time_ranks(scores), Normalisation.MINMAX)
    return as_groups(taken, overall, inside.astype(np.int32))
