"""The composition of each kind of job: its stages, their options, and its plan."""

from dealrec.app.jobs.schemas import FinetuneJobConfig
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import JobKind, JobRow
from dealrec.config import ComparisonConfig, PruneConfig
from dealrec.config.continuation import Continued
from dealrec.config.curve import TargetUse
from dealrec.config.stages import (
    DataShape,
    JobOptions,
    Plan,
    PlannedStage,
    Workload,
    plan_comparison,
    plan_prune,
    plan_runs,
    plan_stages,
    plan_training,
    planned_stages,
    reported,
    trained_stages,
)


def job_stages(job: JobRow) -> list[PlannedStage]:
    """The stages of a new job, in order. Their keys hold only once the data set is known."""
    options = JobOptions(
        stage_config(job), comparison=comparison_config(job), continued=continued(job)
    )
    match JobKind(job.kind):
        case JobKind.COMPARISON:
            return plan_runs(options, source="")
        case JobKind.FINETUNE:
            return plan_stages(trained_stages(options.config), options, source="")
        case JobKind.PRUNE | JobKind.SELECT:
            return plan_stages(planned_stages(options.config), options, source="")


def stage_config(job: JobRow, run: int = 0) -> PruneConfig:
    """The configuration that the job's stages read; in a comparison those of run ``run``."""
    match JobKind(job.kind):
        case JobKind.FINETUNE:
            return FinetuneJobConfig.parse(job.config).of_stages()
        case JobKind.COMPARISON:
            return ComparisonConfig.parse(job.config).of_run(run)
        case JobKind.PRUNE | JobKind.SELECT:
            return PruneConfig.parse(job.config)


def comparison_config(job: JobRow) -> ComparisonConfig | None:
    """The options of a comparison; ``None`` for a job of any other kind."""
    return ComparisonConfig.parse(job.config) if job.kind == JobKind.COMPARISON else None


def target_use(job: JobRow) -> TargetUse | None:
    """The budget that followed from the job's target; ``None`` where it was given a budget."""
    return None if job.target_use is None else TargetUse.model_validate(job.target_use)


def continued(job: JobRow) -> Continued | None:
    """How the job goes on from an earlier one; ``None`` for a full run."""
    return None if job.continued is None else Continued.model_validate(job.continued)


def data_shape(dataset: DatasetRow) -> DataShape:
    """The shape of a data set that is ready."""
    assert dataset.sha256 is not None
    return DataShape(
        dataset.sha256,
        dataset.counts or {},
        dataset.train_lengths or {},
        **reported(dataset.report or {}),
    )


def plan_job(job: JobRow, dataset: DatasetRow) -> Plan:
    """Resolve what depends on the data.

    Raises :class:`InputError` (``no_samples``, ``budget_too_large``, ``no_validation_split``, …)
    where the job cannot run on them.
    """
    config, comparison, data = stage_config(job), comparison_config(job), data_shape(dataset)
    if comparison is not None:
        return plan_comparison(comparison, data)
    if job.kind == JobKind.FINETUNE:
        assert job.source_coreset_id is not None
        data.require_held_out(config.evaluation)
        data.require_validation(config.finetune)
        return plan_training(config, job.source_coreset_id)
    return plan_prune(
        config, job.budget_requested, data, target=target_use(job), continued=continued(job)
    )


def job_workload(
    job: JobRow, dataset: DatasetRow, trained_on: int | None = None
) -> Workload | None:
    """The workload of a job that was started; ``None`` where it is not known.

    ``trained_on`` is the size of the coreset, for a job that only trains.
    """
    config, data = stage_config(job), data_shape(dataset)
    if job.kind == JobKind.FINETUNE:
        if trained_on is None:
            return None
        return Workload(config, trained_on, None, trained_on, data.counts)
    if job.budget_samples is None:
        return None
    return Workload(
        config,
        job.budget_samples,
        comparison_config(job),
        data.samples(config),
        data.counts,
        target=target_use(job),
        continued=continued(job),
    )
