"""Files and histograms from a job's ``scores.parquet``."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from dealrec.app.scores.schemas import Histogram, ScoreFormat, ScoreName
from dealrec.config.texts import no_ids
from dealrec.coresets.cells import shown_table
from dealrec.errors import FieldError, InputError


def write_scores_as(scores: Path, format: ScoreFormat, folder: Path) -> Path:  # noqa: A002
    """Return the file ``scores`` in a format; a converted file is written into ``folder``.

    Sample keys in CSV are safe for spreadsheets (:mod:`dealrec.coresets.cells`).
    """
    if format is ScoreFormat.PARQUET:
        return scores
    path = folder / "scores.csv"
    pa_csv.write_csv(shown_table(pq.read_table(scores)), path)
    return path


def histogram(scores: Path, score: ScoreName, bins: int) -> Histogram:
    """Count samples in ``bins`` of equal width.

    Raises :class:`InputError`: ``no_effort_scores``, or ``no_sample_ids`` for the influence of texts.
    """
    table = pq.read_table(scores, columns=[score.value, "selected"])
    table = table.filter(table[score.value].is_valid())  # only candidates may have been measured
    if not len(table) and score is ScoreName.INFLUENCE:
        raise no_ids("Influence", "Only `overall` and `effort` have histograms here.", "score")
    if not len(table):
        raise no_effort_scores("score")
    values = table[score.value].to_numpy()
    counts, edges = np.histogram(values, _edges(values, bins))
    chosen, _ = np.histogram(values[table["selected"].to_numpy()], edges)
    return Histogram(
        score=score, edges=edges.tolist(), all=counts.tolist(), selected=chosen.tolist()
    )


def no_effort_scores(location: str) -> InputError:
    """Make the error for a job without a language model."""
    return InputError(
        "The job did not measure effort with a language model, so there are no effort scores.",
        code="no_effort_scores",
        title="There are no effort scores",
        errors=[FieldError(location, "cannot be `effort`")],
    )


def _edges(values: npt.NDArray[np.float64], bins: int) -> npt.NDArray[np.float64]:
    """[bins + 1] ascending edges; equal scores lie in the middle of a range of width 1."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = (
        np.linspace(low / 2, high / 2, bins + 1) * 2
    )  # halves, because the difference of the bounds can overflow
    edges[0], edges[-1] = low, high
    return edges
