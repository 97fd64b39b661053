"""Data sets with a part of the interactions of another one."""

import hashlib

import numpy as np
import numpy.typing as npt

from dealrec.data.dataset import Dataset


def restricted(dataset: Dataset, kept: npt.NDArray[np.bool_]) -> Dataset:
    """Restrict a data set to the interactions in ``kept`` [N]; users without one keep their index.

    The result's content hash follows from that of ``dataset`` and from ``kept``.
    """
    digest = hashlib.sha256(dataset.sha256.encode() + np.packbits(kept).tobytes())
    return dataset.restricted(kept, sha256=digest.hexdigest())
