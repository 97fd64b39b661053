"""``importance_resampling``: draws samples that look like validation samples."""

import numpy as np

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.interface import Float32, Float64, Scores, Selection, priorities
from dealrec.selection.normalisation import normalise
from dealrec.selection.results import as_one

_REGULARISATION = 0.1
"""Inverse strength of the L2 penalty on the weights of standardised features."""


def select_by_importance(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Draw in the style of Xie et al., NeurIPS 2023 (*DSIR*, arXiv 2302.03169).

    The training samples may differ from the samples of the evaluation (newer items, longer
    histories). So a sample ``s`` is drawn with a probability proportional to ``(p(s) / q(s))^tilt``,
    where ``p`` is the density of validation samples and ``q`` that of the ``n`` samples. The paper
    estimates both from counts of hashed n-grams. This selector fits a logistic regression that
    separates the embeddings of validation samples from those of the ``n`` samples, with equal weights
    of both sides, whose log-odds are ``log p / q`` (Bickel et al., JMLR 2009).

    Draws are without replacement: each sample waits for an exponential time with its weight as the
    rate, and the first ones are taken (the paper's Gumbel noise amounts to the same). So a larger
    budget contains the smaller one. The overall score is ``log p / q``, normalised to [0, 1].
    """
    assert scores.embedding is not None
    assert scores.embedding.validation is not None
    odds = _log_odds(scores.embedding.samples, scores.embedding.validation)
    with np.errstate(divide="ignore"):  # a draw of exactly 0 means no waiting time
        waits = np.log(-np.log1p(-priorities(scores, config.seed))) - config.tilt * odds
    taken = np.argsort(waits, kind="stable")[:budget].astype(np.int64)
    return as_one(taken, normalise(odds, Normalisation.MINMAX))


def _log_odds(samples: Float32, validation: Float32) -> Float64:
    """[n] log-odds that each of ``samples`` [n, d] is one of ``validation`` [m, d]."""
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
