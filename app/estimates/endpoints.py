"""Estimates over HTTP."""

from fastapi import APIRouter

from dealrec.app.datasets.repository import DatasetRepository
from dealrec.app.estimates import service
from dealrec.app.estimates.schemas import Estimate
from dealrec.app.jobs.schemas import ComparisonCreate, JobCreate
from dealrec.app.jobs.service import (
    require_models_of_comparison,
    require_models_of_job,
    require_run_count,
)
from dealrec.app.kit.context import ContextDep
from dealrec.app.kit.problems import documented

router = APIRouter(prefix="/v1/estimates", tags=["jobs"])


@router.post("", operation_id="create_estimate", responses=documented(404, 409))
def create_estimate(body: JobCreate, context: ContextDep) -> Estimate:
    """Estimate a job stage by stage, from stages that have finished on this server. Nothing is started."""
    require_models_of_job(body.config, context)
    with context.read() as session:
        dataset = DatasetRepository(session, context.tenant_id).get(body.dataset_id)
        return service.estimate(session, context.tenant_id, body, dataset)


@router.post(
    "/comparison", operation_id="create_comparison_estimate", responses=documented(404, 409)
)
def create_comparison_estimate(body: ComparisonCreate, context: ContextDep) -> Estimate:
    """Estimate a comparison with all its trainings. Nothing is started."""
    comparison = body.comparison()
    require_run_count(comparison, context.settings.max_comparison_runs)
    require_models_of_comparison(comparison, context)
    with context.read() as session:
        dataset = DatasetRepository(session, context.tenant_id).get(body.dataset_id)
        return service.estimate_comparison(session, context.tenant_id, body, dataset)
