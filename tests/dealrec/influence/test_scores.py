import numpy as np

from dealrec.influence.scores import InfluenceScores


def test_scores_are_read_as_they_were_written(tmp_path):
    written = InfluenceScores(np.array([0.1, -2.5e-9, 3.0]), {"solver": "cg", "residual": 1e-6})
    written.save(tmp_path / "new")
    found = InfluenceScores.load(tmp_path / "new")
    assert found.scores.dtype == np.float64
    assert np.array_equal(found.scores, written.scores)
    assert found.diagnostics == written.diagnostics
