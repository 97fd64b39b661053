"""Builds a :class:`Selection` from the samples and groups that a selector found."""

import numpy as np
import numpy.typing as npt

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.interface import (
    Float64,
    Int32,
    Int64,
    Scores,
    Selection,
    StratumUse,
    priorities,
)
from dealrec.selection.normalisation import normalise


def as_one(taken: Int64, overall: Float64) -> Selection:
    """Make the selection of ``taken`` (in any order) with all ``n`` samples in one stratum."""
    return as_groups(taken, overall, np.zeros(len(overall), dtype=np.int32))


def as_groups(taken: Int64, overall: Float64, groups: Int32) -> Selection:
    """Make the selection of ``taken`` with strata from [n] ``groups``; negative means in none.

    Groups without samples are left out.
    """
    mask = np.zeros(len(overall), dtype=np.bool_)
    mask[taken] = True
    strata = []
    for group in np.unique(groups[groups >= 0]).tolist():
        here = groups == group
        values = overall[here]
        strata.append(
            StratumUse(
                group, float(values.min()), float(values.max()), len(values), int(mask[here].sum())
            )
        )
    return Selection(np.flatnonzero(mask).astype(np.int64), overall, groups, strata)


def highest(scores: Scores, values: Float64, budget: int, seed: int) -> Int64:
    """[budget] indices of the highest [n] ``values``, best first; ties are broken at random."""
    return np.lexsort((priorities(scores, seed), -values))[:budget].astype(np.int64)


def the_highest(scores: Scores, values: Float64, budget: int, seed: int) -> Selection:
    """Select the highest values; normalised to [0, 1] they are the overall score."""
    taken = highest(scores, values, budget, seed)
    return as_one(taken, normalise(values, Normalisation.MINMAX))


def proportional(sizes: Int64, budget: int) -> Int64:
    """Allocate ``budget`` to groups in proportion to their sizes.

    Shares are rounded up for the largest remainders, and among equal ones for the earlier group. They
    sum to ``budget``, which is at most the sum of the sizes.
    """
    shares = sizes * budget
    given = shares // sizes.sum()
    left = budget - int(given.sum())
    order = np.lexsort((np.arange(len(sizes)), -(shares % sizes.sum())))
    given[order[:left]] += 1
    return np.asarray(given, dtype=np.int64)


def draw(scores: Scores, groups: Int32, given: Int64, seed: int) -> Int64:
    """Draw ``given[g]`` samples of each group uniformly without replacement; negative groups give none."""
    places = np.flatnonzero(groups >= 0)
    priority = priorities(scores, seed)
    ordered = places[np.lexsort((priority[places], groups[places]))]
    sizes = np.bincount(groups[places], minlength=len(given))
    place = np.arange(len(ordered)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.asarray(ordered[place < np.repeat(given, sizes)], dtype=np.int64)


def capped(
    scores: Scores,
    values: Float64,
    budget: int,
    config: SelectionConfig,
    *,
    among: npt.NDArray[np.bool_] | None = None,
    within_target: Float64 | None = None,
) -> Int64:
    """Take the first ``budget`` samples in the order of :func:`capped_order`."""
    order = capped_order(scores, values, config, among=among, within_target=within_target)
    return order[:budget]


def capped_order(
    scores: Scores,
    values: Float64,
    config: SelectionConfig,
    *,
    among: npt.NDArray[np.bool_] | None = None,
    within_target: Float64 | None = None,
) -> Int64:
    """Order samples by descending [n] ``values``, at most ``config.per_target`` of the same target.

    After every target has given that many, each may give as many again, and so on. Ties are broken at
    random.

    Args:
        scores: The samples, with their targets.
        values: [n] one number for each sample.
        config: Gives the cap and the seed.
        among: [n] the samples that may be taken; all by default.
        within_target: [n] the order in which a target gives its samples, the highest first; by
            default that of ``values``.
    """
    assert scores.targets is not None
    places = np.arange(len(scores)) if among is None else np.flatnonzero(among)
    priority = priorities(scores, config.seed)[places]
    targets, high = scores.targets[places], -values[places]
    inner = high if within_target is None else -within_target[places]
    order = np.lexsort((priority, inner, targets))
    counts = np.bincount(targets)
    of_target = np.empty(len(places), dtype=np.int64)
    of_target[order] = np.arange(len(places)) - (np.cumsum(counts) - counts)[targets[order]]
    rounds = of_target // config.per_target
    return places[np.lexsort((priority, inner, high, rounds))].astype(np.int64)
