"""``importance_resampling``: draws samples as likely as validation makes them."""

import numpy as np

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.interface import Float32, Float64, Scores, Selection, priorities
from dealrec.selection.normalisation import normalise
from dealrec.selection.results import as_one

_REGULARISATION = 0.1
"""Inverse strength of the penalty on squared weights of standardised numbers."""


def select_by_importance(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """In the style of Xie et al., NeurIPS 2023 (*DSIR*, arXiv 2302.03169): importance resampling.

    Where what is asked at the end is not what most samples are like (newer items, longer histories),
    a sample ``s`` is drawn with a chance in proportion to ``(p(s) / q(s))^tilt``: how frequent its like
    is among validation samples, over how frequent it is here. They estimate both from counts of
    hashed n-grams; here a logistic regression tells the embeddings of validation samples from those of
    the ``n`` samples, both sides weighing the same, and its log-odds are ``log p / q`` (Bickel et al.,
    JMLR 2009). Draws are without repetition: as they do by Gumbel noise, each sample waits for an
    exponential time at a rate of its weight, and the first are taken. So a larger budget keeps what a
    smaller one took. The overall score is ``log p / q``, brought to [0, 1].
    """
    assert scores.embedding is not None
    assert scores.embedding.validation is not None
    odds = _log_odds(scores.embedding.samples, scores.embedding.validation)
    with np.errstate(divide="ignore"):  # a draw of exactly 0 waits for no time at all
        waits = np.log(-np.log1p(-priorities(scores, config.seed))) - config.tilt * odds
    taken = np.argsort(waits, kind="stable")[:budget].astype(np.int64)
    return as_one(taken, normalise(odds, Normalisation.MINMAX))


def _log_odds(samples: Float32, validation: Float32) -> Float64:
    """[n] log-odds of each of ``samples`` [n, d] to be one of ``validation`` [m, d]."""
    from sklearn.linear_model import LogisticRegression

    mean = samples.mean(axis=0, dtype=np.float64)
    spread = samples.std(axis=0, dtype=np.float64)
    spread[spread == 0] = 1

    def standardised(vectors: Float32) -> Float64:
        return np.asarray((vectors - mean) / spread, dtype=np.float64)

    here = standardised(samples)
    model = LogisticRegression(C=_REGULARISATION, class_weight="balanced", max_iter=1000)
    asked = np.repeat([0, 1], [len(samples), len(validation)])
    model.fit(np.concatenate([here, standardised(validation)]), asked)
    return np.asarray(model.decision_function(here), dtype=np.float64)
