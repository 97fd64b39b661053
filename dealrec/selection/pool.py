"""Selection when only a pool of candidates has effort scores."""

from dataclasses import replace

import numpy as np

from dealrec.config import SelectionConfig
from dealrec.errors import FieldError, InputError
from dealrec.selection.interface import NOT_CANDIDATE, Scores, Selection, Selector
from dealrec.selection.normalisation import normalise


def select_from_pool(
    selector: Selector, scores: Scores, budget: int, config: SelectionConfig
) -> Selection:
    """Select exactly ``budget`` of the candidates; the selector sees no other sample.

    The overall score of the other samples is their normalised influence alone, and their stratum is
    ``NOT_CANDIDATE``.

    Raises:
        InputError: ``budget_above_candidates``.
    """
    assert scores.candidates is not None
    places = np.flatnonzero(scores.candidates)
    if budget > len(places):
        raise InputError(
            f"The budget is {budget:,} samples, but effort was measured only for {len(places):,} "
            f"candidates. Use a budget of at most {len(places):,}, or run a job with a larger "
            "`effort.candidates`, or without it.",
            code="budget_above_candidates",
            title="The budget is larger than the number of candidates",
            errors=[FieldError("budget", f"must be at most {len(places)}")],
        )
    inner = selector(scores.of_candidates(), budget, config)
    assert scores.influence is not None
    overall = normalise(scores.influence, config.normalisation)
    overall[places] = inner.overall
    stratum = np.full(len(scores), NOT_CANDIDATE, dtype=np.int32)
    stratum[places] = inner.stratum
    return replace(inner, indices=places[inner.indices], overall=overall, stratum=stratum)
