"""``tf_dcon``: the samples in the middle of clusters."""

import numpy as np

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.clustering import cluster
from dealrec.selection.interface import Scores, Selection, priorities
from dealrec.selection.normalisation import normalise
from dealrec.selection.results import as_groups, proportional


def select_cluster_middles(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Select in the style of Wu et al. 2023 (*TF-DCon*, arXiv 2310.09874).

    The paper clusters users by embeddings and interests and has a language model write one new user for
    each cluster, so it selects nothing. Like DEALRec's comparison this selector adopts the clustering:
    ``clusters`` clusters of the embeddings share the budget by size, and each gives the samples nearest
    to its centre. Ties are broken at random.
    """
    assert scores.embedding is not None
    labels, distances = cluster(scores.embedding.samples, config.clusters, config.seed)
    sizes = np.bincount(labels).astype(np.int64)
    given = proportional(sizes, budget)
    order = np.lexsort((priorities(scores, config.seed), distances, labels))
    place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    taken = order[place < np.repeat(given, sizes)].astype(np.int64)
    return as_groups(taken, normalise(distances, Normalisation.MINMAX), labels)
