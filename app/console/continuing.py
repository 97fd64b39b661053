"""The part of the form for a new job that lets it continue from a job on an earlier version of the data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from dealrec.app.console.fields import FormField, fields_of, flat_texts, read_fields
from dealrec.app.datasets.repository import DatasetRepository
from dealrec.app.jobs.repository import JobRepository
from dealrec.app.jobs.schemas import Job
from dealrec.app.kit.context import Context
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import JobRow
from dealrec.config.continuation import Continuation

FROM = "continue_from"
"""The field with the id of the earlier job; empty if all is made anew."""
_PART = "continuation"


@dataclass(frozen=True)
class Earlier:
    """A job from which the new one can continue, and the version of the data on which it ran."""

    job: JobRow
    version: int


@dataclass(frozen=True)
class GoingOn:
    """The contents of this part of the form."""

    earlier: tuple[Earlier, ...]
    chosen: str
    fields: tuple[FormField, ...]


def going_on(context: Context, dataset_id: str, form: Mapping[str, str]) -> GoingOn:
    """Return the jobs on earlier versions of a data set, and the options as ``form`` has them."""
    with context.read() as session:
        earlier = tuple(_earlier(session, context.tenant_id, dataset_id))
    fields = fields_of(
        Continuation.model_json_schema(),
        f"{_PART}.",
        {f"{_PART}.{name}": value for name, value in Continuation().model_dump().items()},
        form,
    )
    return GoingOn(earlier, form.get(FROM, ""), tuple(fields))


def form_of_continuation(job: Job) -> dict[str, str]:
    """Return the fields of this part for a job like ``job``."""
    if job.continue_from is None or job.continuation is None:
        return {}
    options = {_PART: job.continuation.model_dump(mode="json")}
    return {FROM: job.continue_from, **dict(flat_texts(options))}


def read_continuation(form: Mapping[str, str]) -> tuple[str | None, Continuation | None]:
    """Return the job to continue from, and how; raises :class:`InputError` as ``Continuation.parse`` does."""
    earlier = form.get(FROM)
    if not earlier:
        return None, None
    fields = fields_of(Continuation.model_json_schema(), f"{_PART}.", {}, form)
    found = read_fields(form, fields).get(_PART, {})
    return earlier, Continuation.parse(found, location=_PART)


def _earlier(session: Session, tenant_id: str, dataset_id: str) -> Iterator[Earlier]:
    """Yield the jobs that succeeded on the versions before this one, newest first."""
    datasets, jobs = DatasetRepository(session, tenant_id), JobRepository(session, tenant_id)
    dataset = datasets.find(dataset_id)
    before = [] if dataset is None else _before(datasets, dataset)
    versions = {row.id: row.version for row in before}
    for job in jobs.with_coresets(list(versions)):
        yield Earlier(job, versions[job.dataset_id])


def _before(datasets: DatasetRepository, dataset: DatasetRow) -> list[DatasetRow]:
    """The versions that the data set was made from, as far back as none was deleted."""
    there = {row.id: row for row in datasets.session.scalars(datasets.versions(dataset))}
    found, parent = [], dataset.parent_id
    while parent is not None and parent in there:
        found.append(there[parent])
        parent = found[-1].parent_id
    return found
