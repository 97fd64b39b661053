"""``moderate``: samples that are neither typical nor odd."""

import numpy as np

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.clustering import cluster
from dealrec.selection.interface import Scores, Selection, priorities
from dealrec.selection.normalisation import normalise
from dealrec.selection.results import as_one


def select_moderate(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Select the samples with the most moderate distances to the centres of their classes.

    Xia et al., ICLR 2023 (*Moderate Coreset*), order all samples by their distance to the centre of
    their class and keep the ``budget`` samples in the middle of that order. Next items are too many to
    be classes, so the classes are ``clusters`` clusters of the embeddings. Their centres are means,
    where the published code has coordinate-wise medians. Ties are broken at random.
    """
    assert scores.embedding is not None
    _, distances = cluster(scores.embedding.samples, config.clusters, config.seed)
    order = np.lexsort((priorities(scores, config.seed), distances))
    first = (len(scores) - budget) // 2
    overall = normalise(distances, Normalisation.MINMAX)
    return as_one(order[first : first + budget].astype(np.int64), overall)
