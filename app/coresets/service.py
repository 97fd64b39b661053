"""The rules of coresets: further selections from scores, and their members."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from sqlalchemy.orm import Session

from dealrec.app.coresets.schemas import CoresetCreate, CoresetSample
from dealrec.app.datasets.service import require_ready
from dealrec.app.jobs.composition import continued, data_shape
from dealrec.app.jobs.repository import JobRepository
from dealrec.app.jobs.schemas import FinetuneJobConfig
from dealrec.app.jobs.service import add_select_job, scores_prefix
from dealrec.app.kit.database import database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.kit.pagination import Page, PageRequest
from dealrec.app.kit.storage import Storage
from dealrec.app.naming import selection_name
from dealrec.app.quotas.service import require_room
from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import SELECTING, JobRow
from dealrec.config import (
    Difficulty,
    EmbeddingSource,
    PruneConfig,
    SelectionConfig,
    SelectionMethod,
    parse_budget,
    resolve_budget,
)
from dealrec.config.published import require_published
from dealrec.config.selection_training import without_training_of
from dealrec.config.selectors import SELECTORS, Need, selector_needs
from dealrec.config.stages import STAGES, Phase
from dealrec.config.texts import for_texts
from dealrec.coresets.writer import MANIFEST, MEMBERS, REPORT, SCORES, read_scores, write_coreset
from dealrec.coresets.writer import Coreset as WrittenCoreset
from dealrec.data.dataset import Dataset
from dealrec.data.samples import build_samples
from dealrec.errors import FieldError, InputError
from dealrec.selection.select import select

__all__ = [
    "MANIFEST",
    "MEMBERS",
    "REPORT",
    "SCORES",
    "SelectionTask",
    "add_coreset",
    "add_job",
    "require_unseen_answers",
    "select_again",
    "selection_task",
]

_MAX_BUDGETS = 20
_KEPT_WITH_SCORES = frozenset(
    {Need.INFLUENCE, Need.EFFORT, Need.TARGETS, Need.HISTORY_LENGTHS, Need.TIMES}
)
"""Every job keeps these: selectors that need nothing else select again at once."""


@dataclass(frozen=True)
class SelectionTask:
    """The inputs of another selection, which then needs no session."""

    job_id: str
    dataset_id: str
    dataset_prefix: str
    scores_prefix: str
    budget: int | float
    config: PruneConfig
    facts: Mapping[str, Any]

    @property
    def needs_job(self) -> bool:
        """Whether the selector needs more than the scores that every job stores."""
        return not selector_needs(self.config.selection) <= _KEPT_WITH_SCORES


def selection_task(
    session: Session, tenant_id: str, job_id: str, body: CoresetCreate
) -> SelectionTask:
    """Validate the request against the job.

    Raises :class:`InputError` (``invalid_config``, ``no_effort_scores``, ``not_as_published``) and
    :class:`Conflict` (``no_scores``).
    """
    jobs = JobRepository(session, tenant_id)
    job = jobs.get(job_id)
    prefix = scores_prefix(session, job)
    assert job.kind in SELECTING
    config = PruneConfig.parse(job.config)
    merged = config.selection.model_dump(mode="json") | body.selection
    dataset = jobs.dataset(job)
    has_ids = data_shape(dataset).has_ids
    if not has_ids and "difficulty" not in body.selection:
        merged["difficulty"] = Difficulty.EFFORT
    selection = SelectionConfig.parse(merged, location="selection")
    if not SELECTORS[
        selection.method
    ].trains:  # what the earlier selector took from the training goes
        selection, titles = without_training_of(config.finetune, selection, config.titles)
        config = config.model_copy(update={"titles": titles})
    _require_effort(config, selection)
    _require_published(config, selection)
    if not has_ids:
        embedding = config.embedding.model_copy(update={"source": EmbeddingSource.LANGUAGE_MODEL})
        config = for_texts(
            config.model_copy(update={"selection": selection, "embedding": embedding})
        )
    facts = {}
    for name, spec in STAGES.items():
        artifact = jobs.artifact(job, name) if spec.phase is Phase.SCORING else None
        if artifact is not None:
            facts[name.value] = spec.account(artifact.metrics, artifact.details)
    return SelectionTask(
        job_id=job.id,
        dataset_id=dataset.id,
        dataset_prefix=require_ready(dataset),
        scores_prefix=prefix,
        budget=job.budget_requested if body.budget is None else body.budget,
        config=config.model_copy(update={"selection": selection}),
        facts=facts,
    )


def _require_effort(config: PruneConfig, selection: SelectionConfig) -> None:
    if config.effort is not None or Need.EFFORT not in selector_needs(selection):
        return
    if SELECTORS[selection.method].weighs_effort:
        place = FieldError("selection.effort_weight", "must be 0")
    else:
        place = FieldError("selection.method", "needs effort")
    raise InputError(
        (
            "The job did not measure effort, so there are no effort scores. Run a job with `effort`, or "
            "use a selector that does not need it."
        ),
        code="no_effort_scores",
        title="There are no effort scores",
        errors=[place],
    )


def _require_published(config: PruneConfig, selection: SelectionConfig) -> None:
    if selection.method is SelectionMethod.DEALREC_PAPER:
        why = (
            "The job's scores were made with other options. Run a job with this selector, or use the "
            "selector `dealrec`."
        )
        require_published(config.influence, config.effort, why=why)


def require_unseen_answers(
    coreset: CoresetRow, maker: JobRow, dataset: DatasetRow, body: FinetuneJobConfig
) -> None:
    """Raise :class:`InputError` (``answers_aimed_at``) where the selection saw what would be asked.

    ``maker`` is the job that made the coreset.
    """
    selection = SelectionConfig.parse(coreset.selection)
    asked = {"selection": selection, "finetune": body.of_stages().finetune}
    config = PruneConfig.parse(maker.config).model_copy(update=asked)
    has_test = data_shape(dataset).has_test
    config.require_unseen_answers(body.evaluation, has_test=has_test, location="evaluation.split")


def add_job(session: Session, tenant_id: str, task: SelectionTask) -> JobRow:
    """Add a job for a task that needs one; raises the errors of :func:`add_select_job`."""
    jobs = JobRepository(session, tenant_id)
    source = jobs.get(task.job_id)
    dataset = jobs.dataset(source)
    config = task.config.model_copy(update={"finetune": None, "evaluation": None})
    return add_select_job(
        session, dataset, budget=task.budget, config=config, continued=continued(source)
    )


def select_again(
    storage: Storage, task: SelectionTask, folder: Path
) -> tuple[WrittenCoreset, Path]:
    """Select from the stored scores and write the coreset, with its report, below ``folder``.

    Raises :class:`InputError` (``budget_too_large``).
    """
    from dealrec.reports.report import write_report

    stored = storage.fetch_folder(task.dataset_prefix, folder / "dataset")
    dataset = Dataset.load(stored)
    samples = build_samples(dataset, task.config.sampling, task.config.min_history)
    scores = read_scores(storage.fetch_file(f"{task.scores_prefix}/{SCORES}", folder), samples)
    budget = resolve_budget(task.budget, len(scores))
    out = folder / "coreset"
    written = write_coreset(
        dataset,
        samples,
        scores,
        select(scores, budget, task.config.selection),
        config=task.config,
        budget_requested=task.budget,
        facts=task.facts,
        out=out,
    )
    write_report(out, out / REPORT)
    return written, out


def add_coreset(
    session: Session,
    tenant_id: str,
    task: SelectionTask,
    written: WrittenCoreset,
    identifier: str,
    stored_bytes: int,
) -> CoresetRow:
    """Add the row of a stored coreset.

    Raises :class:`NotFound` if its job was deleted in the meantime, and :class:`QuotaExceeded`.
    """
    jobs = JobRepository(session, tenant_id)
    dataset = jobs.dataset(jobs.get(task.job_id, lock=True))
    require_room(session, tenant_id, stored_bytes)
    row = CoresetRow(
        id=identifier,
        tenant_id=tenant_id,
        job_id=task.job_id,
        dataset_id=task.dataset_id,
        name=selection_name(dataset.name, task.budget, task.config.selection.method),
        size=written.size,
        selection=task.config.selection.model_dump(mode="json"),
        sha256=written.sha256,
        coverage=written.coverage,
        prefix=coreset_prefix(tenant_id, identifier),
        stored_bytes=stored_bytes,
        created_at=database_now(session),
    )
    session.add(row)
    session.flush()
    return row


def scores_key(session: Session, coreset: CoresetRow) -> str:
    """Return the storage key of the ``scores.parquet`` of this coreset's selection.

    The job's own coreset shares the file of its stage; every later coreset has its own file.
    """
    job = JobRepository(session, coreset.tenant_id).get(coreset.job_id)
    prefix = scores_prefix(session, job) if job.coreset_id == coreset.id else coreset.prefix
    return f"{prefix}/{SCORES}"


def require_comparable(session: Session, coreset: CoresetRow, other: CoresetRow) -> None:
    """Raise :class:`InputError` (``not_comparable``) across data sets or sampling units."""
    jobs = JobRepository(session, coreset.tenant_id)
    units = [PruneConfig.parse(jobs.get(row.job_id).config).sampling for row in (coreset, other)]
    if coreset.dataset_id != other.dataset_id or units[0] != units[1]:
        apart = coreset.dataset_id != other.dataset_id
        raise InputError(
            "The two coresets were made from different data sets."
            if apart
            else "In one of the coresets each user is a sample, in the other each interaction.",
            code="not_comparable",
            title="The coresets cannot be compared",
            errors=[
                FieldError("against", "was made from another data set or with another `sampling`")
            ],
        )


def parse_budgets(text: str) -> list[int | float]:
    """Parse budgets such as ``256,512,0.1``; raises :class:`InputError` (``invalid_budget``)."""
    parts = text.split(",")
    if len(parts) > _MAX_BUDGETS:
        raise InputError(
            f"At most {_MAX_BUDGETS} budgets can be compared at a time.",
            code="invalid_budget",
            title="The budgets cannot be used",
            errors=[FieldError("budgets", f"has more than {_MAX_BUDGETS} values")],
        )
    return [parse_budget(part.strip()) for part in parts]


def new_coreset_id() -> str:
    """Make the id of a coreset that is about to be stored."""
    return new_id("cs")


def coreset_prefix(tenant_id: str, identifier: str) -> str:
    """Return the storage prefix of a coreset's files."""
    return f"coresets/{tenant_id}/{identifier}"


def member_page(members: Path, request: PageRequest) -> Page[CoresetSample]:
    """Return a page of the members in the Parquet file ``members``."""
    file = pq.ParquetFile(members)
    first = 0 if request.after is None else (request.position() or 0) + 1
    rows: list[CoresetSample] = []
    seen = 0
    for batch in file.iter_batches(batch_size=1024):
        wanted = batch.slice(max(0, first - seen), request.limit + 1 - len(rows))
        if first - seen < len(batch):
            rows.extend(CoresetSample.model_validate(row) for row in wanted.to_pylist())
        seen += len(batch)
        if len(rows) > request.limit:
            break
    more = len(rows) > request.limit
    data = rows[: request.limit]
    return Page(data=data, has_more=more, next=str(first + len(data) - 1) if more else None)
