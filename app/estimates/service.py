"""Estimates: work in units that a stage's time is in proportion to, times a rate learnt from the past."""

from statistics import median

from sqlalchemy.orm import Session

from dealrec.app.estimates.repository import Finished, finished_stages, made_keys
from dealrec.app.estimates.schemas import Basis, Calibration, Estimate, StageEstimate
from dealrec.app.estimates.work import Task, Work
from dealrec.app.jobs.composition import Plan, plan_comparison, plan_prune, require_samples
from dealrec.app.jobs.schemas import BudgetUse, ComparisonCreate, JobCreate
from dealrec.app.jobs.service import require_known_models, require_run_count
from dealrec.app.kit.errors import Conflict
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.app.tables.jobs import JobKind
from dealrec.config.stages import StageName

START_SECONDS = 4.0
"""Of a stage's process before it works, and of its files' way; the rest is in proportion to the work."""

_REFERENCE = {
    StageName.SURROGATE: 1.2e-5,
    StageName.INFLUENCE: 6.5e-9,
    StageName.EFFORT: 0.1,
    StageName.DIFFICULTY: 6e-9,
    StageName.EMBEDDING: 0.1,
    StageName.GRADIENTS: 0.15,
    StageName.SELECT: 1e-4,
    StageName.FINETUNE: 0.5,
    StageName.EVALUATE: 0.1,
    StageName.COMPARE: 0.1,
}
"""Seconds a unit of work on two cores without a GPU, rounded up; language models of 135M parameters."""


def estimate(session: Session, tenant_id: str, body: JobCreate, dataset: DatasetRow) -> Estimate:
    """What the job of ``body`` would cost on ``dataset``.

    Raises :class:`Conflict` (``dataset_not_ready``, ``dataset_rejected``) and what making the job
    would raise.
    """
    _require_ready(dataset)
    require_known_models(body.config)
    plan = plan_prune(body.config, body.budget, dataset)
    return _estimate(session, tenant_id, JobKind.PRUNE, plan, dataset, body.budget)


def estimate_comparison(
    session: Session,
    tenant_id: str,
    body: ComparisonCreate,
    dataset: DatasetRow,
    *,
    max_runs: int,
) -> Estimate:
    """What the comparison of ``body`` would cost on ``dataset``; raises as :func:`estimate`."""
    _require_ready(dataset)
    config = body.comparison()
    require_run_count(config, max_runs)
    require_known_models(config.config)
    plan = plan_comparison(config, dataset)
    sizes = config.resolved_budgets(require_samples(dataset, config.config))
    largest = config.budgets[sizes.index(max(sizes))]
    found = _estimate(session, tenant_id, JobKind.COMPARISON, plan, dataset, largest)
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
    kind: JobKind,
    plan: Plan,
    dataset: DatasetRow,
    requested: float,
) -> Estimate:
    assert plan.budget is not None
    task = Task.of(kind, plan.config, dataset, plan.budget)
    made = made_keys(session, tenant_id, plan.keys.values())
    past = finished_stages(session, tenant_id)
    stages = [
        _stage(name, task.work(name), past, reused=key in made) for name, key in plan.keys.items()
    ]
    return Estimate(
        dataset_id=dataset.id,
        budget=BudgetUse(requested=requested, samples=plan.budget),
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
    rate = median(rates) if rates else _REFERENCE[name]
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
    """What a finished stage had to do; ``None`` where its job does not say so."""
    job = finished.job
    if job.kind == JobKind.FINETUNE or job.budget_samples is None:
        return None
    task = Task.of(job.kind, job.config, finished.dataset, job.budget_samples)
    return task.work(finished.name)
