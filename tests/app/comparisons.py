"""The results of a comparison, without the hours that it would take."""

from pathlib import Path

from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.kit.storage import Storage
from dealrec.app.tables.jobs import ArtifactRow, JobKind, JobRow, JobState, StageRow, StageState
from dealrec.comparison.report import write_comparison_report
from dealrec.config import ComparisonConfig
from tests.dealrec.comparison.reports import comparison_report


def finished_comparison(
    database: Database, storage: Storage, folder: Path, tenant: str, dataset: str
) -> str:
    """A job on ``dataset`` with its report in ``storage``; gives back the job's id."""
    out = folder / "report"
    out.mkdir()
    found = comparison_report()
    write_comparison_report(found, out / "report.html")
    (out / "report.json").write_text(found.model_dump_json())
    job, stage, artifact = new_id("job"), new_id("st"), new_id("art")
    prefix = f"artifacts/{tenant}/{stage}/1"
    storage.put_folder(prefix, out)
    config = ComparisonConfig(budgets=(128,), selectors=[{"method": "dealrec"}])
    with database.session() as session:
        now = database_now(session)
        session.add_all(
            [
                JobRow(
                    id=job,
                    tenant_id=tenant,
                    dataset_id=dataset,
                    kind=JobKind.COMPARISON.value,
                    state=JobState.SUCCEEDED.value,
                    config=config.model_dump(mode="json"),
                    job_metadata={},
                    created_at=now,
                    started_at=now,
                    finished_at=now,
                ),
                ArtifactRow(
                    id=artifact,
                    tenant_id=tenant,
                    stage="compare",
                    key=stage.ljust(64, "0")[:64],
                    prefix=prefix,
                    created_at=now,
                ),
            ]
        )
        session.flush()
        session.add(
            StageRow(
                id=stage,
                tenant_id=tenant,
                dataset_id=dataset,
                job_id=job,
                name="compare",
                queue="gpu",
                state=StageState.SUCCEEDED.value,
                artifact_id=artifact,
                needs=[],
            )
        )
    return job
