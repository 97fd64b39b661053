"""``balanced``: keeps popularity and history lengths, and drops the most harmful samples."""

from fractions import Fraction

import numpy as np

from dealrec.config import Normalisation, SelectionConfig, StratumEdges
from dealrec.selection.interface import Float64, Int32, Int64, Scores, Selection, priorities
from dealrec.selection.normalisation import normalise
from dealrec.selection.results import as_groups, proportional
from dealrec.selection.strata import assign_strata, stratum_edges


def select_balanced(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Draw within strata of popularity × history length, without the most harmful samples.

    1. The target's popularity is cut into ``strata`` ranges, and each of these into
       ``length_strata`` ranges of history length, with about equal numbers of samples. A stratum
       gives its share of the budget (proportional allocation).
    2. Each stratum loses the ``harmful_prune`` share of its samples with the lowest influence, whose
       removal would lower the target risk the most, but keeps enough samples for its share of the
       budget. Ties are broken at random.
    3. The share is drawn uniformly from the rest.

    So scores decide only among similar samples, and cannot tilt a coreset towards rare items or long
    histories. The overall score is the influence, normalised to [0, 1] by rank. This selector is our
    own.
    """
    assert scores.influence is not None
    strata = _strata(scores, config)
    sizes = np.bincount(strata).astype(np.int64)
    given = proportional(sizes, budget)
    share = Fraction(str(config.harmful_prune))
    left_out = np.array(
        [min(int(share * int(n)), int(n - g)) for n, g in zip(sizes, given, strict=True)]
    )
    priority = priorities(scores, config.seed)
    # Within every stratum the most harmful samples first, then the rest in the order of their draws.
    place = _places(strata, np.lexsort((priority, scores.influence, strata)), sizes)
    stays = place >= left_out[strata]
    drawn = _places(strata, np.lexsort((priority, ~stays, strata)), sizes)
    taken = np.flatnonzero(drawn < given[strata])
    overall = normalise(scores.influence, Normalisation.RANK)
    return as_groups(taken.astype(np.int64), overall, strata)


def _strata(scores: Scores, config: SelectionConfig) -> Int32:
    """[n] stratum of each sample, numbered without gaps over the strata that have samples."""
    assert scores.targets is not None
    assert scores.history_lengths is not None
    counts = np.bincount(scores.targets).astype(np.float64)
    of_popularity = _ranges(counts[scores.targets], config.strata)
    lengths = scores.history_lengths.astype(np.float64)
    of_length = np.zeros_like(of_popularity)
    for stratum in np.unique(of_popularity):
        here = of_popularity == stratum
        of_length[here] = _ranges(lengths[here], config.length_strata)
    both = of_popularity.astype(np.int64) * config.length_strata + of_length
    found: Int32 = np.unique(both, return_inverse=True)[1].astype(np.int32)
    return found


def _ranges(values: Float64, count: int) -> Int32:
    return assign_strata(values, stratum_edges(values, count, StratumEdges.QUANTILE))


def _places(strata: Int32, order: Int64, sizes: Int64) -> Int64:
    """[n] place of each sample within its stratum, from 0; ``order`` goes stratum by stratum."""
    places = np.empty(len(strata), dtype=np.int64)
    first = np.cumsum(sizes) - sizes
    places[order] = np.arange(len(strata)) - first[strata[order]]
    return places
