"""Estimates of jobs that are not made yet."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from dealrec.app.estimates.repository import latest_power
from dealrec.app.estimates.schemas import Calibration, Detectable, Estimate, StageEstimate
from dealrec.app.jobs.composition import data_shape
from dealrec.app.jobs.continuing import continued_from
from dealrec.app.jobs.pace import Pace
from dealrec.app.jobs.past import made_keys
from dealrec.app.jobs.schemas import BudgetUse, ComparisonCreate, JobCreate
from dealrec.app.jobs.targets import find_target
from dealrec.app.kit.errors import Conflict
from dealrec.app.kit.schemas import OptionNote
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.config import ComparisonConfig
from dealrec.config.model_checks import model_facts
from dealrec.config.model_memory import working_bytes
from dealrec.config.model_use import ModelUse
from dealrec.config.stages import (
    Plan,
    StageName,
    Workload,
    measured_rate,
    plan_comparison,
    plan_prune,
)
from dealrec.config.unread import comparison_warnings, config_warnings
from dealrec.errors import InputError


def estimate(session: Session, tenant_id: str, body: JobCreate, dataset: DatasetRow) -> Estimate:
    """Estimate the job of ``body`` on ``dataset``.

    Raises :class:`Conflict` (``dataset_not_ready``, ``dataset_rejected``) and what making the job
    would raise.
    """
    _require_ready(dataset)
    requested, target, data = body.budget, None, data_shape(dataset)
    if body.target is not None:
        target = find_target(session, tenant_id, body.target, data.sha256, body.config)
        requested = target.samples
    assert requested is not None
    config, continued = body.config, None
    if body.continue_from is not None:
        config, continued = continued_from(session, tenant_id, body)
    plan = plan_prune(config, requested, data, target=target, continued=continued)
    return _estimate(session, tenant_id, plan, dataset, requested)


def estimate_comparison(
    session: Session,
    tenant_id: str,
    body: ComparisonCreate,
    dataset: DatasetRow,
) -> Estimate:
    """Estimate the comparison of ``body`` on ``dataset``; raises as :func:`estimate`."""
    _require_ready(dataset)
    config = body.comparison()
    data = data_shape(dataset)
    config = config.for_data(has_times=data.has_times, can_aim=data.can_aim)
    plan = plan_comparison(config, data)
    largest, _ = config.largest(data.samples(config.config))
    found = _estimate(session, tenant_id, plan, dataset, largest)
    able = _detectable(latest_power(session, tenant_id, config.model), config)
    return found.model_copy(update={"trainings": config.run_count, "detectable": able})


def _detectable(power: Mapping[str, Any] | None, config: ComparisonConfig) -> Detectable | None:
    difference = None if power is None else power["by_runs"].get(str(config.seeds))
    if power is None or difference is None:
        return None
    return Detectable(
        metric=power["metric"], runs=config.seeds, users=power["users"], difference=difference
    )


def _require_ready(dataset: DatasetRow) -> None:
    if dataset.state == DatasetState.REJECTED:
        raise Conflict("The data set was rejected. Its `error` says why.", code="dataset_rejected")
    if dataset.state != DatasetState.READY:
        raise Conflict(
            "The data set is still being checked. Ask again once it is ready.",
            code="dataset_not_ready",
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
    made = made_keys(session, tenant_id, [stage.key for stage in plan.stages])
    pace = Pace(session, tenant_id)
    by_name: dict[StageName, list[StageEstimate]] = {}
    for stage in plan.stages:
        assert isinstance(stage.options, Workload)
        name, reused = stage.place.name, stage.key in made
        checked = measured_rate(stage.spec, stage.options.config)
        expected = pace.expect(name, stage.spec.work(stage.options), checked)
        found = StageEstimate(
            name=name,
            seconds=0.0 if reused else round(expected.seconds, 1),
            peak_memory_bytes=expected.peak_memory_bytes
            or _memory(stage.spec.language_model(stage.options.config)),
            reused=reused,
            calibrated_on=Calibration(basis=expected.basis, stages=expected.stages),
        )
        by_name.setdefault(name, []).append(found)
    stages = [_together(runs) for runs in by_name.values()]
    return Estimate(
        dataset_id=dataset.id,
        budget=BudgetUse(requested=requested, samples=load.budget),
        seconds=round(sum(stage.seconds for stage in stages), 1),
        stages=stages,
        warnings=OptionNote.of_all(
            config_warnings(load.config, load.budget, has_ids=data_shape(dataset).has_ids)
            if load.comparison is None
            else comparison_warnings(load.comparison)
        ),
    )


def _together(runs: Sequence[StageEstimate]) -> StageEstimate:
    """One estimate of the same stage in all runs of a comparison."""
    seconds = round(sum(run.seconds for run in runs), 1)
    reused = all(run.reused for run in runs)
    return runs[0].model_copy(update={"seconds": seconds, "reused": reused, "runs": len(runs)})


def _memory(use: ModelUse | None) -> int | None:
    """The memory that follows from the head of the model's files, where they are here."""
    try:
        facts = None if use is None else model_facts(use.model)
    except InputError:
        return None
    return None if use is None or facts is None else working_bytes(facts, use)
