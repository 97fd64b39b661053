"""The pool of samples whose effort is worth asking for, where asking for all takes too long."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dealrec.config import PruneConfig, SelectionConfig, SelectionMethod
from dealrec.config.effort import measured_samples
from dealrec.selection.interface import Scores
from dealrec.selection.select import select


def candidate_pool(
    keys: pa.Array, influence: npt.NDArray[np.float64], budget: int, config: PruneConfig
) -> npt.NDArray[np.int64] | None:
    """The dense indices of the candidates of a job; ``None`` where all samples are measured."""
    if config.effort is None or config.effort.candidates is None:
        return None
    size = measured_samples(len(keys), budget, config.effort.candidates)
    return draw_candidates(keys, influence, size, config.selection)


def draw_candidates(
    keys: pa.Array,
    influence: npt.NDArray[np.float64],
    size: int,
    config: SelectionConfig,
) -> npt.NDArray[np.int64]:
    """[size] dense indices, ascending: a coreset of that size by influence alone.

    The job's own selection is made without effort (λ = 0) and with nothing pruned from the top, so
    the pool covers the influence strata that the coreset will be drawn over. The draws are those of
    the selection itself (one priority a key): of two samples in a stratum the pool has the one that
    the full method would sooner take. With ``size`` all samples it is all of them.
    """
    by_influence = config.model_copy(
        update={"method": SelectionMethod.DEALREC, "effort_weight": 0.0, "hard_prune": 0.0}
    )
    return select(Scores(keys, influence, None), size, by_influence).indices
