"""The samples around a coreset by their vectors: neighbours of one, and a map of all."""

from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel
from sqlalchemy.orm import Session

from dealrec.app.coresets.browsing import Pool, ScoredSample
from dealrec.app.jobs.repository import JobRepository
from dealrec.app.kit.context import Context
from dealrec.app.kit.errors import Conflict
from dealrec.app.tables.jobs import JobRow
from dealrec.config import PruneConfig
from dealrec.config.stages import StageName
from dealrec.coresets.landscape import (
    Float32,
    Int64,
    VectorSource,
    as_many_at_random,
    item_vectors,
    nearest,
    on_a_plane,
)
from dealrec.selection.vectors import MadeVectors

_MOST_SAMPLES = 2_000_000


class Neighbour(ScoredSample):
    """A sample that is like another one."""

    similarity: float
    """The cosine of the two samples' vectors, at most 1."""


class Neighbours(BaseModel):
    """The samples that are most like one, the most similar first."""

    object: Literal["neighbours"] = "neighbours"
    coreset_id: str
    sample_key: str
    source: VectorSource
    """``surrogate`` and ``language_model``: the embeddings of the stage of that name. ``items``: vectors
    made of the items in history and target, if no job on the data set has made embeddings."""
    data: list[Neighbour]


class MapPoint(BaseModel):
    """A sample on the map."""

    sample_key: str
    target: str
    """The target's title."""
    x: float
    """From 0 to 1, like ``y``. Both axes have the same scale."""
    y: float
    influence: float | None
    effort: float | None
    overall: float | None
    stratum: int | None
    selected: bool
    at_random: bool
    """Whether a random selection of the same size contains it."""


class SampleMap(BaseModel):
    """The samples on the two directions in which their vectors differ most (principal components)."""

    object: Literal["sample_map"] = "sample_map"
    coreset_id: str
    source: VectorSource
    """Which vectors are shown; the same values as for neighbours."""
    explained: tuple[float, float]
    """The shares of the vectors' variance along the two directions."""
    samples: int
    """The number of all samples, which is larger than the number of points if there are too many to draw."""
    points: list[MapPoint]


def embedding_prefix(session: Session, job: JobRow) -> str | None:
    """The storage prefix of embeddings of the job's samples, its own or another job's."""
    jobs = JobRepository(session, job.tenant_id)
    own = jobs.artifact(job, StageName.EMBEDDING)
    if own is not None:
        return own.prefix
    shape = _samples_of(job)
    for other, artifact in jobs.like_results(job, StageName.EMBEDDING):
        if _samples_of(other) == shape:
            return artifact.prefix
    return None


def _samples_of(job: JobRow) -> tuple[object, ...]:
    config = PruneConfig.parse(job.config)
    return config.sampling, config.min_history


def vectors_of(
    context: Context, pool: Pool, prefix: str | None, folder: Path
) -> tuple[Float32, VectorSource]:
    """[n, d] the embeddings that are stored under ``prefix``, or vectors made of the samples' items.

    Raises :class:`Conflict` (``too_many_samples``, ``no_vectors``).
    """
    if len(pool.samples) > _MOST_SAMPLES:
        raise Conflict(
            (
                f"The data set has {len(pool.samples):,} samples, but a map can hold at most "
                f"{_MOST_SAMPLES:,}."
            ),
            code="too_many_samples",
        )
    if prefix is not None:
        made = MadeVectors.load(context.storage.fetch_folder(prefix, folder / "embedding"))
        if len(made.vectors.samples) == len(pool.samples):
            return made.vectors.samples, VectorSource(made.diagnostics["source"])
    if not pool.samples.has_ids:
        raise Conflict(
            "No job has made embeddings of these texts yet. Run one with a selector that uses them, "
            "such as `k_center`.",
            code="no_vectors",
        )
    found = item_vectors(pool.samples, pool.dataset.n_items)
    if found is None:
        raise Conflict(
            "The data set has too few samples or items to tell which samples are alike.",
            code="no_vectors",
        )
    return found, VectorSource.ITEMS


def neighbours(
    pool: Pool, vectors: Float32, source: VectorSource, coreset_id: str, key: str, count: int
) -> Neighbours:
    """The ``count`` samples most like the one with this key; raises :class:`NotFound`."""
    found = zip(*nearest(vectors, pool.index(key), count), strict=True)
    data = [
        Neighbour(**pool.scored(int(index)).model_dump(), similarity=round(float(cosine), 4))
        for index, cosine in found
    ]
    return Neighbours(coreset_id=coreset_id, sample_key=key, source=source, data=data)


def sample_map(
    pool: Pool, vectors: Float32, source: VectorSource, coreset_id: str, most: int
) -> SampleMap:
    """Draw at most ``most`` samples: half of them from the coreset, if it has as many."""
    places, explained = on_a_plane(vectors)
    selected = pool.scores["selected"].to_numpy()
    random = np.zeros(len(selected), bool)
    random[as_many_at_random(selected)] = True
    named = _names(pool)
    points = [
        MapPoint(
            **pool.facts(index),
            target=named[index].as_py(),
            x=round(float(places[index, 0]), 4),
            y=round(float(places[index, 1]), 4),
            at_random=bool(random[index]),
        )
        for index in map(int, _drawn(selected, random, most))
    ]
    return SampleMap(
        coreset_id=coreset_id,
        source=source,
        explained=explained,
        samples=len(selected),
        points=points,
    )


def _names(pool: Pool) -> pa.Array:
    """[n] the title of each sample's target; of texts without ids, the answer."""
    given = pool.samples.given
    if given is not None and not pool.samples.has_ids:
        return given.texts.field("output")
    return pool.dataset.titles.take(pa.array(pool.samples.targets))


def _drawn(selected: np.ndarray, random: np.ndarray, most: int) -> Int64:
    """The indices that are drawn, in order: of the coreset and of the random selection first."""
    taken = _spread(np.flatnonzero(selected), most // 2)
    control = _spread(np.flatnonzero(random & ~selected), most // 4)
    rest = _spread(np.flatnonzero(~(selected | random)), most - len(taken) - len(control))
    return np.sort(np.concatenate([taken, control, rest]))


def _spread(indices: Int64, most: int) -> Int64:
    if len(indices) <= most:
        return indices
    return indices[np.arange(most) * len(indices) // most]
