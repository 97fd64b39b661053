"""How far two results differ, such as one that went on from an earlier run and a full one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dealrec.coresets.writer import SCORES
from dealrec.disk import local_file
from dealrec.metrics.correlation import spearman

_SCORES = ("influence", "effort")


@dataclass(frozen=True)
class Differences:
    """Members and scores of two results."""

    members: tuple[int, int]
    """The number of members of each coreset."""
    both: int
    """The number of members that both have."""
    samples: tuple[int, int]
    samples_in_both: int
    correlations: dict[str, float | None]
    """Spearman's rank correlation of each score over the samples that both have it of; ``None`` where a
    score is the same for all of them, or for fewer than two samples."""

    @property
    def jaccard(self) -> float:
        """The share of all members that both have."""
        return self.both / (sum(self.members) - self.both)

    def lines(self) -> list[str]:
        """The differences in words."""
        one, other = self.members
        told = [
            (
                f"{self.both:,} samples are in both coresets, of {one:,} and {other:,}; Jaccard similarity "
                f"{self.jaccard:.3f}"
            ),
            (
                f"{self.samples_in_both:,} samples were scored in both, of {self.samples[0]:,} and "
                f"{self.samples[1]:,}"
            ),
        ]
        for name, value in self.correlations.items():
            shown = "cannot be computed" if value is None else f"{value:.4f}"
            told.append(f"rank correlation of {name}: {shown}")
        return told


def differences(one: Path, other: Path) -> Differences:
    """Compare two folders that :func:`dealrec.prune` left.

    Raises:
        InputError: ``no_such_file`` where a folder has no scores.
    """
    first, second = (pq.read_table(local_file(folder / SCORES)) for folder in (one, other))
    at = pc.index_in(second["sample_key"], value_set=first["sample_key"].combine_chunks())
    known = at.is_valid()
    ours, theirs = first.take(at.filter(known)), second.filter(known)
    both = pc.sum(pc.and_(ours["selected"], theirs["selected"])).as_py() or 0
    return Differences(
        (_selected(first), _selected(second)),
        both,
        (len(first), len(second)),
        len(ours),
        {
            name: _correlation(ours[name], theirs[name])
            for name in _SCORES
            if ours[name].null_count < len(ours) and theirs[name].null_count < len(theirs)
        },
    )


def _selected(scores: pa.Table) -> int:
    return int(pc.sum(scores["selected"]).as_py() or 0)


def _correlation(ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> float | None:
    one, other = (np.asarray(values.to_numpy(), np.float64) for values in (ours, theirs))
    there = ~(np.isnan(one) | np.isnan(other))
    return spearman(one[there], other[there])
