"""``gradient_match``: samples whose gradients point where the validation gradient points."""

import numpy as np

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.interface import Float32, Float64, Scores, Selection
from dealrec.selection.normalisation import normalise
from dealrec.selection.results import as_one, highest


def select_matching_gradients(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Select in the style of Xia et al., ICML 2024 (*LESS*, arXiv 2402.04333).

    A sample's score is the cosine between its projected gradient and the mean projected gradient of
    the validation samples, and the highest scores are taken. The paper sums the score over four
    checkpoints of a warm-up training, weighted by the learning rate, with Adam's preconditioning, and
    takes the largest over several target tasks. This selector uses the plain gradient of the model as
    it is (or with ``gradients.adapter``), and validation is one task. Ties are broken at random.
    """
    assert scores.gradients is not None and scores.gradients.validation is not None
    target = scores.gradients.validation.mean(axis=0, dtype=np.float64)
    cosines = _cosines(scores.gradients.samples, target)
    taken = highest(scores, cosines, budget, config.seed)
    return as_one(taken, normalise(cosines, Normalisation.MINMAX))


def _cosines(vectors: Float32, target: Float64) -> Float64:
    """[n] cosines; 0 for a vector of zeros."""
    products = (vectors @ target.astype(vectors.dtype)).astype(np.float64)
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors)).astype(np.float64)
    lengths *= np.linalg.norm(target)
    cosines: Float64 = np.zeros(len(vectors))
    np.divide(products, lengths, out=cosines, where=lengths > 0)
    return cosines
