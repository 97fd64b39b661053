"""``k_center``: no sample is far from a selected one."""

import numpy as np

from dealrec.config import SelectionConfig
from dealrec.selection.interface import Scores, Selection, priorities
from dealrec.selection.normalisation import overall_score
from dealrec.selection.results import as_one


def select_centers(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Select by the greedy k-center of Sener and Savarese, ICLR 2018 (arXiv 1708.00489, Algorithm 1).

    The first sample is drawn, and each further one is the farthest from all samples taken so far. The
    largest distance of a sample to its nearest taken one is then at most twice the smallest possible
    (Gonzalez, 1985). The paper's robust variant, which sets outliers aside, is left out. Ties are
    broken at random. The cost is ``budget`` products of the embeddings with a vector.
    """
    assert scores.embedding is not None
    drawn = np.argsort(priorities(scores, config.seed), kind="stable")
    vectors = np.asarray(scores.embedding.samples)[drawn]
    lengths = np.einsum("nd,nd->n", vectors, vectors)
    nearest = np.full(len(vectors), np.inf, dtype=vectors.dtype)
    taken = np.empty(budget, dtype=np.int64)
    best = 0
    for place in range(budget):
        taken[place] = best
        squares = lengths + lengths[best] - 2 * (vectors @ vectors[best])
        np.minimum(nearest, np.maximum(squares, 0), out=nearest)
        nearest[best] = -np.inf
        best = int(nearest.argmax())
    return as_one(drawn[taken].astype(np.int64), overall_score(scores, config))
