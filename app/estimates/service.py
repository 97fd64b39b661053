"""Estimates: a stage's amount of work times the seconds a unit took in the past."""

from statistics import median

from sqlalchemy.orm import Session

from dealrec.app.estimates.repository import Finished, finished_stages, made_keys
from dealrec.app.estimates.schemas import Basis, Calibration, Estimate, StageEstimate
from dealrec.app.jobs.composition import data_shape, job_workload
from dealrec.app.jobs.schemas import BudgetUse, ComparisonCreate, JobCreate
from dealrec.app.jobs.service import require_known_models, require_run_count
from dealrec.app.kit.errors import Conflict
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.config.stages import (
    STAGES,
    Plan,
    StageName,
    Work,
    Workload,
    plan_comparison,
    plan_prune,
)

START_SECONDS = 4.0
"""How long starting a stage's process and moving its files takes; the rest is proportional to the work."""


def estimate(session: Session, tenant_id: str, body: JobCreate, dataset: DatasetRow) -> Estimate:
    """Estimate the job of ``body`` on ``dataset``.

    Raises :class:`Conflict` (``dataset_not_ready``, ``dataset_rejected``) and what making the job
    would raise.
    """
    _require_ready(dataset)
    require_known_models(body.config)
    plan = plan_prune(body.config, body.budget, data_shape(dataset))
    return _estimate(session, tenant_id, plan, dataset, body.budget)


def estimate_comparison(
    session: Session,
    tenant_id: str,
    body: ComparisonCreate,
    dataset: DatasetRow,
    *,
    max_runs: int,
) -> Estimate:
    """Estimate the comparison of ``body`` on ``dataset``; raises as :func:`estimate`."""
    _require_ready(dataset)
    config = body.comparison()
    require_run_count(config, max_runs)
    require_known_models(config.config)
    data = data_shape(dataset)
    plan = plan_comparison(config, data)
    sizes = config.resolved_budgets(data.samples(config.config))
    largest = config.budgets[sizes.index(max(sizes))]
    found = _estimate(session, tenant_id, plan, dataset, largest)
    return found.model_copy(update={"trainings": config.run_count})


def _require_ready(dataset: DatasetRow) -> None:
    if dataset.state == DatasetState.REJECTED:
        raise Conflict("The data set was rejected; see its `error`.", code="dataset_rejected")
    if dataset.state != DatasetState.READY:
        raise Conflict(
            "The data set is still validated; ask again once it is ready.", code="dataset_not_ready"
        )


def _estimate(
    session: Session,
    tenant_id: str,
    plan: Plan,
    dataset: DatasetRow,
    requested: float,
) -> Estimate:
    assert isinstance(plan.options, Workload)
    load = plan.options
    made = made_keys(session, tenant_id, plan.keys.values())
    past = finished_stages(session, tenant_id)
    stages = [
        _stage(name, STAGES[name].work(load), past, reused=key in made)
        for name, key in plan.keys.items()
    ]
    return Estimate(
        dataset_id=dataset.id,
        budget=BudgetUse(requested=requested, samples=load.budget),
        seconds=round(sum(stage.seconds for stage in stages), 1),
        stages=stages,
    )


def _stage(name: StageName, work: Work, past: list[Finished], *, reused: bool) -> StageEstimate:
    like = [
        (one, before.units)
        for one in past
        if one.name is name and (before := _work_of(one)) is not None and before.alike == work.alike
    ]
    rates = [max(one.seconds - START_SECONDS, 0.1 * one.seconds) / units for one, units in like]
    rate = median(rates) if rates else STAGES[name].reference_seconds
    peaks = [one.peak_memory_bytes for one, _ in like if one.peak_memory_bytes is not None]
    return StageEstimate(
        name=name,
        seconds=0.0 if reused else round(START_SECONDS + rate * work.units, 1),
        peak_memory_bytes=max(peaks, default=None),
        reused=reused,
        calibrated_on=Calibration(
            basis=Basis.FINISHED if like else Basis.REFERENCE, stages=len(like)
        ),
    )


def _work_of(finished: Finished) -> Work | None:
    """The amount of work in a finished stage; ``None`` where its job does not say so."""
    load = job_workload(finished.job, finished.dataset)
    return None if load is None else STAGES[finished.name].work(load)
