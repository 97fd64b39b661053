"""A closer look at coresets over HTTP: all samples behind one, and how it does against random."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query

from dealrec.app.coresets.browsing import Pool, SampleQueryDep, ScoredSamples, browse
from dealrec.app.coresets.maps import (
    Neighbours,
    SampleMap,
    embedding_prefix,
    neighbours,
    sample_map,
    vectors_of,
)
from dealrec.app.coresets.repository import CoresetRepository
from dealrec.app.coresets.service import scores_key
from dealrec.app.coresets.verdicts import Verdicts, verdicts
from dealrec.app.datasets.service import require_ready
from dealrec.app.jobs.repository import JobRepository
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.downloads import scratch
from dealrec.app.kit.pagination import PageQuery
from dealrec.app.kit.problems import documented
from dealrec.config import PruneConfig
from dealrec.coresets.landscape import Float32, VectorSource, on_a_plane

router = APIRouter(prefix="/v1/coresets/{coreset_id}", tags=["coresets"])


@dataclass(frozen=True)
class _Opened:
    """The samples of a coreset's job, and where their embeddings are."""

    pool: Pool
    context: Context
    prefix: str | None
    folder: Path

    def vectors(self) -> tuple[Float32, VectorSource]:
        return vectors_of(self.context, self.pool, self.prefix, self.folder)


@contextmanager
def _opened(context: Context, coreset_id: str) -> Iterator[_Opened]:
    with context.read() as session:
        coreset = CoresetRepository(session, context.tenant_id).get(coreset_id)
        jobs = JobRepository(session, context.tenant_id)
        job = jobs.get(coreset.job_id)
        stored, config = require_ready(jobs.dataset(job)), PruneConfig.parse(job.config)
        key, prefix = scores_key(session, coreset), embedding_prefix(session, job)
    with scratch(context.settings) as folder:
        dataset = context.storage.fetch_folder(stored, folder / "dataset")
        pool = Pool.load(dataset, context.storage.fetch_file(key, folder), config)
        yield _Opened(pool, context, prefix, folder)


@router.get("/scored-samples", operation_id="list_scored_samples", responses=documented(404, 409))
def list_scored_samples(
    coreset_id: str, context: ContextDep, page: PageQuery, query: SampleQueryDep
) -> ScoredSamples:
    """List the samples that the coreset was selected from, taken or not, filtered and sorted."""
    with _opened(context, coreset_id) as opened:
        places = on_a_plane(opened.vectors()[0])[0] if query.on_the_map else None
        return browse(opened.pool, query, page, places)


@router.get("/neighbours", operation_id="list_sample_neighbours", responses=documented(404, 409))
def get_neighbours(
    coreset_id: str,
    context: ContextDep,
    sample_key: Annotated[str, Query(max_length=10_000)],
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> Neighbours:
    """List the samples that are most like one, taken or not, by the embeddings that exist."""
    with _opened(context, coreset_id) as opened:
        return neighbours(opened.pool, *opened.vectors(), coreset_id, sample_key, limit)


@router.get("/map", operation_id="get_sample_map", responses=documented(404, 409))
def get_map(
    coreset_id: str, context: ContextDep, limit: Annotated[int, Query(ge=10, le=10_000)] = 2000
) -> SampleMap:
    """Place the samples on a plane, where those that are alike are near each other.

    The bounds ``left``, ``right``, ``bottom`` and ``top`` of ``scored-samples`` are on this plane, and so
    are the corners of its ``area``.
    """
    with _opened(context, coreset_id) as opened:
        return sample_map(opened.pool, *opened.vectors(), coreset_id, limit)


@router.get("/verdicts", operation_id="list_coreset_verdicts", responses=documented(404))
def get_verdicts(coreset_id: str, context: ContextDep) -> Verdicts:
    """List what finished comparisons say of a selection like this one of about this size."""
    with context.read() as session:
        coreset = CoresetRepository(session, context.tenant_id).get(coreset_id)
    return verdicts(context, coreset)
