"""k-means over sample embeddings, with the same result on every run."""

import warnings

import numpy as np

from dealrec.selection.interface import Float32, Float64, Int32


def cluster(vectors: Float32, clusters: int, seed: int) -> tuple[Int32, Float64]:
    """Cluster the samples by Lloyd's algorithm from one k-means++ start.

    If there are fewer distinct vectors than ``clusters``, there are fewer clusters. The caller sees to
    one thread: OpenMP adds up centres in the order in which its threads end.

    Returns:
        [n] cluster of each sample, and [n] its Euclidean distance to the cluster's centre.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    count = min(clusters, len(vectors))
    means = KMeans(count, n_init=1, max_iter=100, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = means.fit_predict(np.ascontiguousarray(vectors))
    distances = np.empty(len(vectors))
    for group in range(count):
        here = labels == group
        away = vectors[here].astype(np.float64) - means.cluster_centers_[group]
        distances[here] = np.linalg.norm(away, axis=1)
    return labels.astype(np.int32), distances
