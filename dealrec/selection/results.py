"""Selections made from what selectors find: which were taken, and of which group."""

import numpy as np

from dealrec.config import Normalisation
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
    """All ``n`` samples are one stratum, of which ``taken`` (in any order) were taken."""
    return as_groups(taken, overall, np.zeros(len(overall), dtype=np.int32))


def as_groups(taken: Int64, overall: Float64, groups: Int32) -> Selection:
    """[n] ``groups`` are the strata (negative: in none); those without samples are left out."""
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
    """[budget] indices of the highest [n] ``values``, best first; equal ones as they are drawn."""
    return np.lexsort((priorities(scores, seed), -values))[:budget].astype(np.int64)


def the_highest(scores: Scores, values: Float64, budget: int, seed: int) -> Selection:
    """The samples with the highest values; these, in [0, 1], are the overall score."""
    taken = highest(scores, values, budget, seed)
    return as_one(taken, normalise(values, Normalisation.MINMAX))


def proportional(sizes: Int64, budget: int) -> Int64:
    """How many each group gives: its share of ``budget``, up or down to a whole number.

    Largest remainders first, then the earlier group; sums to ``budget``, which is at most the sum
    of the sizes.
    """
    shares = sizes * budget
    given = shares // sizes.sum()
    left = budget - int(given.sum())
    order = np.lexsort((np.arange(len(sizes)), -(shares % sizes.sum())))
    given[order[:left]] += 1
    return np.asarray(given, dtype=np.int64)


def draw(scores: Scores, groups: Int32, given: Int64, seed: int) -> Int64:
    """``given[g]`` of each group's samples, uniformly without replacement; negative groups: none."""
    places = np.flatnonzero(groups >= 0)
    priority = priorities(scores, seed)
    ordered = places[np.lexsort((priority[places], groups[places]))]
    sizes = np.bincount(groups[places], minlength=len(given))
    place = np.arange(len(ordered)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.asarray(ordered[place < np.repeat(given, sizes)], dtype=np.int64)
