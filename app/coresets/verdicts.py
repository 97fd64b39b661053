"""Whether a coreset is better than random: what finished comparisons say of its selection."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from sqlalchemy.orm import Session

from dealrec.app.jobs.comparisons import ReportFormat
from dealrec.app.jobs.repository import JobRepository
from dealrec.app.kit.context import Context
from dealrec.app.kit.downloads import scratch
from dealrec.app.tables.coresets import CoresetRow
from dealrec.comparison.results import ComparisonReport
from dealrec.comparison.verdict import standings
from dealrec.config.comparison import CONTROL
from dealrec.config.selection import SelectionConfig
from dealrec.config.selectors import SELECTORS

_NEAR = 1.25
"""A finding at a budget applies to coresets of up to this many times its size, and down to its size
divided by this."""


class Verdict(BaseModel):
    """The finding of a comparison about a selection like that of a coreset."""

    job_id: str
    name: str
    """The comparison's name."""
    selector: str
    budget: int
    """The size of the comparison's coresets, which may differ a little from the size of this one."""
    better_than_random: bool | None
    """Null if no difference from random selection was shown."""
    finding: str
    """The finding in plain words."""


class Verdicts(BaseModel):
    """The verdicts on a coreset, those of the newest comparison first."""

    object: Literal["verdicts"] = "verdicts"
    coreset_id: str
    data: list[Verdict]


def verdicts(context: Context, coreset: CoresetRow) -> Verdicts:
    """Read the reports of the tenant's newest comparisons on the coreset's content.

    A comparison covers the coreset if it had a selector of the same method and options at about its size.
    """
    with context.read() as session:
        reports = _reports(session, context, coreset)
    found: list[Verdict] = []
    for job_id, name, key in reports:
        with scratch(context.settings) as folder:
            text = context.storage.fetch_file(key, folder).read_text(encoding="utf-8")
        with suppress(
            ValidationError
        ):  # a report of version 0.1 has another measure and no verdict
            report = ComparisonReport.model_validate_json(text)
            found += _of_report(report, coreset, job_id, name)
    return Verdicts(coreset_id=coreset.id, data=found)


def _reports(session: Session, context: Context, coreset: CoresetRow) -> list[tuple[str, str, str]]:
    repository = JobRepository(session, context.tenant_id)
    return [
        (job.id, job.name, f"{artifact.prefix}/{ReportFormat.JSON.stored_as}")
        for job, artifact in repository.comparisons(coreset.dataset_id)
    ]


def _of_report(
    report: ComparisonReport, coreset: CoresetRow, job_id: str, name: str
) -> Iterator[Verdict]:
    labels = {
        one.label
        for one in report.selectors
        if one.method != CONTROL and _same(one.method, one.selection, coreset.selection)
    }
    texts = {
        (row.selector, row.budget): text
        for row, text in zip(report.table, report.findings, strict=False)
    }
    for standing in standings(report.differences, report.primary):
        near = standing.budget <= _NEAR * coreset.size and coreset.size <= _NEAR * standing.budget
        text = texts.get((standing.selector, standing.budget))
        if standing.selector in labels and near and text:
            better = next((row.better for row in standing.compares if row.against == CONTROL), None)
            yield Verdict(
                job_id=job_id,
                name=name,
                selector=standing.selector,
                budget=standing.budget,
                better_than_random=better,
                finding=text,
            )


def _same(method: str, asked: dict[str, Any], stored: dict[str, object]) -> bool:
    """Whether two selections have the same method, and the same options that it reads but the seed.

    A report names the method of a control beside its options, not among them.
    """
    ours, theirs = SelectionConfig.parse({**asked, "method": method}), SelectionConfig.parse(stored)
    read = {"method", *SELECTORS[theirs.method].parameters} - {"seed"}
    return all(getattr(ours, name) == getattr(theirs, name) for name in read)
