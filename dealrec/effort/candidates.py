"""Chooses the samples whose effort is measured if measuring all samples takes too long."""

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
    """Return the dense indices of a job's candidates; ``None`` if all samples are measured."""
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
    """Draw [size] dense indices, ascending: a coreset of that size by influence alone.

    The draw is the job's selection without effort (λ = 0) and with no sample pruned from the top, so
    the pool covers the influence strata from which the coreset will be drawn. It uses the priorities
    of the selection itself (one per key): of two samples in a stratum, the pool holds the one that
    the full method would take first. If ``size`` is the number of samples, the pool is all samples.
    """
    by_influence = config.without_effort().model_copy(
        update={"method": SelectionMethod.DEALREC, "hard_prune": 0.0}
    )
    return select(Scores(keys, influence, None), size, by_influence).indices
