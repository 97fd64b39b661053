"""The rules of jobs."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from dealrec.app.datasets.repository import DatasetRepository
from dealrec.app.jobs.composition import data_shape
from dealrec.app.jobs.continuing import continued_from
from dealrec.app.jobs.lifecycle import plan_job
from dealrec.app.jobs.repository import JobRepository
from dealrec.app.jobs.schemas import FinetuneJobConfig, Job, JobCreate
from dealrec.app.jobs.targets import Budgeted
from dealrec.app.kit.context import Context
from dealrec.app.kit.database import database_now
from dealrec.app.kit.errors import Conflict, NotFound
from dealrec.app.kit.ids import new_id
from dealrec.app.kit.pagination import Page, PageRequest
from dealrec.app.models.service import require_known_model, require_usable_models
from dealrec.app.naming import adapter_name, comparison_name, selection_name
from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.app.tables.jobs import JobKind, JobRow, JobState
from dealrec.config import ComparisonConfig, FinetuneConfig, PruneConfig
from dealrec.config.continuation import Carry, Continued
from dealrec.config.stages import StageName, compared_stages, planned_stages, trained_stages
from dealrec.config.surrogate import SURROGATES
from dealrec.config.texts import as_asked
from dealrec.errors import FieldError, InputError


class Scheduled(NamedTuple):
    """The schedule that makes a job, and the due time that it makes it for."""

    schedule_id: str | None = None
    due_at: datetime | None = None


BY_REQUEST = Scheduled()


def require_known_models(config: PruneConfig, tenant_id: str) -> None:
    """Raise :class:`InputError` for a name that the catalogue does not list for the tenant.

    The code is ``unknown_model`` for a language model. It is ``invalid_config`` for an adapter, and
    for a surrogate, because only the library accepts import paths.
    """
    names = {
        "config.effort.model": config.effort,
        "config.embedding.model": config.embedding,
        "config.gradients.model": config.gradients,
        "config.ifd.model": config.ifd,
        "config.titles.model": config.titles,
        "config.finetune.model": config.finetune,
    }
    for location, part in names.items():
        if part is not None:
            require_known_model(part.model, location, tenant_id)
    for name, measured in (("effort", config.effort), ("gradients", config.gradients)):
        if measured is not None and measured.adapter is not None:
            raise InputError(
                (
                    f"On a server, {name} is measured with a fresh LoRA; only the library and the command "
                    "line accept an adapter."
                ),
                code="invalid_config",
                title="The configuration cannot be used",
                errors=[FieldError(f"config.{name}.adapter", "must be null")],
            )
    if config.surrogate.model not in SURROGATES:
        known = ", ".join(SURROGATES)
        raise InputError(
            (
                f"A server trains only the surrogates that it lists ({known}). Surrogates with an import "
                "path work only in the library and on the command line."
            ),
            code="invalid_config",
            title="The configuration cannot be used",
            errors=[FieldError("config.surrogate.model", f"must be one of {known}")],
        )


def require_models_of_job(config: PruneConfig, context: Context) -> None:
    """Check the models of a job that makes a coreset.

    Raises the errors of :func:`require_known_models` and of
    :func:`~dealrec.app.models.service.require_usable_models`. It reads files, so no transaction should be
    open; the same is true of the two functions below.
    """
    require_known_models(config, context.tenant_id)
    require_usable_models(planned_stages(config), config, context.settings)


def decided(context: Context, dataset_id: str, config: PruneConfig) -> PruneConfig:
    """Fill in the defaults that follow from texts without ids, where the data set is known to be of them.

    Raises :class:`NotFound`, and :class:`InputError` (``no_sample_ids``) for what needs ids.
    """
    with context.read() as session:
        dataset = DatasetRepository(session, context.tenant_id).get(dataset_id)
        known = dataset.state == DatasetState.READY
        return data_shape(dataset).decided(config) if known else config


def require_models_of_comparison(config: ComparisonConfig, context: Context) -> None:
    """Check the models of a comparison; raises as :func:`require_models_of_job`."""
    require_known_models(config.config, context.tenant_id)
    require_usable_models(compared_stages(config), config.config, context.settings)


def require_model_of_training(config: FinetuneJobConfig, context: Context) -> None:
    """Check the model of a training on a coreset; raises as :func:`require_models_of_job`."""
    require_known_model(config.model, "model", context.tenant_id)
    options = config.of_stages()
    require_usable_models(trained_stages(options), options, context.settings)


def require_start(
    session: Session, tenant_id: str, config: FinetuneConfig | None, location: str
) -> None:
    """Check that the adapter that a training goes on from is the tenant's, and of the same kind.

    Raises :class:`InputError` (``unknown_adapter``, ``adapter_not_usable``).
    """
    if config is None or config.from_adapter is None:
        return
    row = JobRepository(session, tenant_id).adapter(config.from_adapter)
    place = f"{location}.from_adapter"
    if row is None:
        raise InputError(
            f"There is no adapter {config.from_adapter[:60]!r}. On a server, adapters are named by "
            "their ids; `GET /v1/adapters` lists them.",
            code="unknown_adapter",
            title="There is no such adapter",
            errors=[FieldError(place, "must be the id of an adapter")],
        )
    had = FinetuneConfig.model_validate(row.config)
    for name in ("model", "recommender"):
        before, asked = getattr(had, name), getattr(config, name)
        if before != asked:
            raise InputError(
                f"The adapter {row.id} was trained with the {name} `{before}`, but this training has "
                f"`{asked}`. Use the same {name}, or another adapter.",
                code="adapter_not_usable",
                title="The adapter cannot be used",
                errors=[FieldError(place, f"was trained with the {name} `{before}`")],
            )


def require_run_count(config: ComparisonConfig, max_runs: int) -> None:
    """Raise :class:`InputError` (``comparison_too_large``) for more than ``max_runs`` trainings."""
    if config.run_count > max_runs:
        raise InputError(
            f"The comparison has {config.run_count:,} trainings (budgets × selectors × seeds, plus "
            f"those on all samples), but this server allows at most {max_runs:,}. Use fewer budgets, "
            "selectors or seeds.",
            code="comparison_too_large",
            title="The comparison is too large",
            errors=[FieldError("seeds", f"at most {max_runs} trainings are allowed")],
        )


def add_prune_job(
    session: Session,
    dataset: DatasetRow,
    *,
    budget: Budgeted,
    config: PruneConfig,
    metadata: Mapping[str, str],
    name: str | None = None,
    continued: Continued | None = None,
    scheduled: Scheduled = BY_REQUEST,
) -> JobRow:
    """Add a job on ``dataset``, and plan its stages; ``name`` takes the place of the usual one.

    ``continued`` names the earlier job that it goes on from, ``scheduled`` the schedule that makes it.
    Raises :class:`InputError` (``no_samples``, ``budget_too_large``, ``no_curve``, …) and
    :class:`Conflict` (``dataset_rejected``).
    """
    require_start(session, dataset.tenant_id, config.finetune, "config.finetune")
    job = _new_job(session, dataset.tenant_id, JobKind.PRUNE, dataset.id)
    job.job_metadata = dict(metadata)
    job.name = name or ""
    job.schedule_id, job.due_at = scheduled
    job.continued = None if continued is None else continued.model_dump(mode="json")
    return _plan(session, job, dataset, budget, config)


def create_job(
    session: Session, tenant_id: str, body: JobCreate, scheduled: Scheduled = BY_REQUEST
) -> JobRow:
    """Add the job of a request, whose models were checked before.

    Raises :class:`NotFound`, and the errors of :func:`add_prune_job` and of
    :func:`~dealrec.app.jobs.continuing.continued_from`.
    """
    dataset = DatasetRepository(session, tenant_id).get(body.dataset_id)
    config, continued = body.config, None
    if body.continue_from is not None:
        config, continued = continued_from(session, tenant_id, body)
    return add_prune_job(
        session,
        dataset,
        budget=body.budgeted,
        config=config,
        metadata=body.metadata,
        name=body.name,
        continued=continued,
        scheduled=scheduled,
    )


def add_select_job(
    session: Session,
    dataset: DatasetRow,
    *,
    budget: int | float,
    config: PruneConfig,
    continued: Continued | None = None,
) -> JobRow:
    """Add a job that makes the further inputs of a selector, and selects from an earlier job's scores.

    ``config`` is the earlier job's with another selection, so its finished stages are reused, and so they are
    where it went on from another job in its turn (``continued``): the budget is then spent anew. Raises
    the errors of :func:`add_prune_job`.
    """
    job = _new_job(session, dataset.tenant_id, JobKind.SELECT, dataset.id)
    if continued is not None:
        anew = continued.model_copy(update={"coreset": Carry.ANEW})
        job.continued = anew.model_dump(mode="json")
    return _plan(session, job, dataset, Budgeted(budget), config)


def add_finetune_job(
    session: Session, dataset: DatasetRow, coreset: CoresetRow, config: FinetuneJobConfig
) -> JobRow:
    """Add a job that trains on a coreset, and plan its stages.

    Raises the errors of :func:`require_start`.
    """
    require_start(session, dataset.tenant_id, config, "config")
    job = _new_job(session, dataset.tenant_id, JobKind.FINETUNE, dataset.id)
    job.source_coreset_id = coreset.id
    job.name = adapter_name(coreset.name, config.model)
    job.config = config.model_dump(mode="json")
    plan_job(session, job, dataset)
    return job


def add_comparison_job(
    session: Session,
    dataset: DatasetRow,
    config: ComparisonConfig,
    *,
    metadata: Mapping[str, str],
    name: str | None = None,
) -> JobRow:
    """Add a job that compares selectors on ``dataset``, and plan its stages; ``name`` as above.

    Raises :class:`InputError` (``budget_too_large``, ``no_validation_split``, …) and
    :class:`Conflict` (``dataset_rejected``).
    """
    job = _new_job(session, dataset.tenant_id, JobKind.COMPARISON, dataset.id)
    job.job_metadata = dict(metadata)
    job.name = name or comparison_name(dataset.name, len(config.selectors))
    job.config = config.model_dump(mode="json")
    plan_job(session, job, dataset)
    return job


def present(session: Session, job: JobRow) -> Job:
    """Make the schema of a job."""
    session.flush()
    stages = JobRepository(session, job.tenant_id).stages([job])[job.id]
    return Job.of(job, stages, database_now(session))


def list_jobs(
    session: Session,
    tenant_id: str,
    request: PageRequest,
    *,
    state: JobState | None,
    dataset_id: str | None,
    kind: JobKind | None = None,
    schedule_id: str | None = None,
) -> Page[Job]:
    """List the jobs, newest first."""
    repository = JobRepository(session, tenant_id)
    query = repository.query()
    if state is not None:
        query = query.where(JobRow.state == state.value)
    if dataset_id is not None:
        query = query.where(JobRow.dataset_id == dataset_id)
    if kind is not None:
        query = query.where(JobRow.kind == kind.value)
    if schedule_id is not None:
        query = query.where(JobRow.schedule_id == schedule_id)
    rows = repository.page(query, request)
    stages, now = repository.stages(rows.rows), database_now(session)
    return rows.page(lambda row: Job.of(row, stages[row.id], now))


def scores_prefix(session: Session, job: JobRow) -> str:
    """Return the prefix of the job's ``scores.parquet``; raises :class:`Conflict` (``no_scores``)."""
    artifact = JobRepository(session, job.tenant_id).artifact(job, StageName.SELECT)
    if artifact is None:
        raise Conflict(
            f"The job has no scores yet; its state is `{job.state}`.",
            code="no_scores",
            state=job.state,
        )
    return artifact.prefix


def report_prefix(session: Session, job: JobRow) -> str:
    """Return the storage prefix of a comparison's report.

    Raises :class:`NotFound` (``no_report``, with the job's ``state``) before the report exists, and
    for jobs of other kinds.
    """
    artifact = JobRepository(session, job.tenant_id).artifact(job, StageName.COMPARE)
    if artifact is None:
        comparing = job.kind == JobKind.COMPARISON
        raise NotFound(
            f"The job has no report yet; its state is `{job.state}`."
            if comparing
            else "Only comparisons have a report. The report of a coreset is at /v1/coresets/{id}/report.",
            code="no_report",
            state=job.state,
        )
    return artifact.prefix


def _plan(
    session: Session,
    job: JobRow,
    dataset: DatasetRow,
    budget: Budgeted,
    config: PruneConfig,
) -> JobRow:
    job.budget_requested, job.target = budget
    job.name = job.name or selection_name(
        dataset.name, budget.budget, config.selection.method, budget.target
    )
    job.config = as_asked(config)
    plan_job(session, job, dataset)
    return job


def _new_job(session: Session, tenant_id: str, kind: JobKind, dataset_id: str) -> JobRow:
    return JobRow(
        id=new_id("job"),
        tenant_id=tenant_id,
        kind=kind.value,
        state=JobState.QUEUED.value,
        dataset_id=dataset_id,
        name="",
        event_count=0,
        job_metadata={},
        created_at=database_now(session),
    )
