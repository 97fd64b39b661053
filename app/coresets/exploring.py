"""A closer look at coresets over HTTP: all samples behind one, and how it does against random."""

from fastapi import APIRouter

from dealrec.app.coresets.browsing import SampleQueryDep, ScoredSamples, browse
from dealrec.app.coresets.repository import CoresetRepository
from dealrec.app.coresets.service import scores_key
from dealrec.app.coresets.verdicts import Verdicts, verdicts
from dealrec.app.datasets.service import require_ready
from dealrec.app.jobs.repository import JobRepository
from dealrec.app.kit.context import ContextDep
from dealrec.app.kit.downloads import scratch
from dealrec.app.kit.pagination import PageQuery
from dealrec.app.kit.problems import documented
from dealrec.config import PruneConfig

router = APIRouter(prefix="/v1/coresets/{coreset_id}", tags=["coresets"])


@router.get("/scored-samples", operation_id="list_scored_samples", responses=documented(404, 409))
def list_scored_samples(
    coreset_id: str, context: ContextDep, page: PageQuery, query: SampleQueryDep
) -> ScoredSamples:
    """List the samples that the coreset was selected from, taken or not, filtered and sorted."""
    with context.read() as session:
        coreset = CoresetRepository(session, context.tenant_id).get(coreset_id)
        jobs = JobRepository(session, context.tenant_id)
        job = jobs.get(coreset.job_id)
        prefix, config = require_ready(jobs.dataset(job)), PruneConfig.parse(job.config)
        key = scores_key(session, coreset)
    with scratch(context.settings) as folder:
        stored = context.storage.fetch_folder(prefix, folder / "dataset")
        return browse(stored, context.storage.fetch_file(key, folder), config, query, page)


@router.get("/verdicts", operation_id="list_coreset_verdicts", responses=documented(404))
def get_verdicts(coreset_id: str, context: ContextDep) -> Verdicts:
    """List what finished comparisons say of a selection like this one of about this size."""
    with context.read() as session:
        coreset = CoresetRepository(session, context.tenant_id).get(coreset_id)
    return verdicts(context, coreset)
