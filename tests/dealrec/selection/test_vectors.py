"""Vectors on disk."""

import numpy as np
import pytest

from dealrec.selection.vectors import MadeVectors, Vectors


@pytest.mark.parametrize("others", [None, np.ones((3, 5), np.float32)])
def test_vectors_come_back_as_they_were_without_being_read(tmp_path, others):
    values = np.random.default_rng(0).normal(size=(1000, 5)).astype(np.float32)
    MadeVectors(Vectors(values, others), {"seconds": 1.5}).save(tmp_path)
    again = MadeVectors.load(tmp_path)
    assert np.array_equal(again.vectors.samples, values)
    assert again.diagnostics == {"seconds": 1.5}
    assert not again.vectors.samples.flags.owndata  # the file's own pages
    assert not again.vectors.samples.flags.writeable
    if again.vectors.validation is None:
        assert others is None
    else:
        assert np.array_equal(again.vectors.validation, others)
