"""``herding``: samples whose mean embedding is close to the mean of all samples."""

import numpy as np

from dealrec.config import SelectionConfig
from dealrec.selection.interface import Scores, Selection, priorities
from dealrec.selection.normalisation import overall_score
from dealrec.selection.results import as_one


def select_by_herding(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Select by herding (Welling, ICML 2009) in the form of Rebuffi et al., CVPR 2017.

    Each step takes the sample that brings the mean embedding of the taken samples nearest to the mean
    of all: ``argmin_x ‖μ − (x + Σ taken) / (t + 1)‖`` (arXiv 1611.07725). Welling's form takes the
    largest inner product with a running weight, which is the same for vectors of equal length. Ties are
    broken at random. The cost is ``budget`` products of the embeddings with a vector.
    """
    assert scores.embedding is not None
    drawn = np.argsort(priorities(scores, config.seed), kind="stable")
    vectors = np.asarray(scores.embedding.samples)[drawn]
    mean = vectors.mean(axis=0, dtype=np.float64)
    squares = np.einsum("nd,nd->n", vectors, vectors).astype(np.float64)
    total = np.zeros_like(mean)
    left = np.zeros(len(vectors))
    taken = np.empty(budget, dtype=np.int64)
    for place in range(budget):
        wanted = (place + 1) * mean - total
        distances = squares - 2 * (vectors @ wanted.astype(vectors.dtype)) + left
        best = int(distances.argmin())
        taken[place] = best
        total += vectors[best]
        left[best] = np.inf
    return as_one(drawn[taken].astype(np.int64), overall_score(scores, config))
