"""Results of a tenant's jobs, made without the hours that the jobs would take."""

from dataclasses import dataclass
from pathlib import Path

from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.kit.storage import Storage
from dealrec.app.schedules.schemas import ScheduleCreate
from dealrec.app.schedules.service import create
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.app.tables.jobs import JobKind, JobRow, JobState
from tests.app.comparisons import finished_comparison
from tests.app.conftest import CONFIG, Finished, Finisher

_MISSING = {
    "title": "The input cannot be used",
    "detail": "wrong.csv:1:user_id: There is no column `user_id`.",
    "code": "missing_column",
    "errors": [{"location": "wrong.csv:1:user_id", "message": "There is no column `user_id`."}],
}
_KILLED = {
    "title": "The stage's process was killed",
    "detail": "The process was killed (SIGKILL), most likely because the machine ran out of memory.",
    "code": "stage_killed",
    "stage": "surrogate",
}


@dataclass(frozen=True)
class Results:
    """The ids of results of one tenant."""

    tenant: str
    finished: Finished
    rejected: str
    failed: str
    comparison: str
    schedule: str

    @classmethod
    def made(cls, database: Database, storage: Storage, folder: Path, tenant: str) -> "Results":
        """As the worker leaves them; the numbers of scores and reports are drawn."""
        finished = Finisher(database, storage, folder).all(tenant)
        with database.session() as session:
            common = {"tenant_id": tenant, "created_at": database_now(session)}
            rejected = DatasetRow(
                **common,
                id=new_id("ds"),
                name="Wrong columns",
                state=DatasetState.REJECTED.value,
                uploads={},
                error=_MISSING,
            )
            failed = JobRow(
                **common,
                id=new_id("job"),
                dataset_id=finished.dataset,
                kind=JobKind.PRUNE.value,
                state=JobState.FAILED.value,
                budget_requested=0.2,
                budget_samples=12,
                config=CONFIG.model_dump(mode="json"),
                job_metadata={},
                error=_KILLED,
            )
            session.add_all([rejected, failed])
            order = {"budget": 0.2, "config": {"effort": None}}
            asked = {"name": "nightly", "dataset_id": finished.dataset, "job": order}
            asked["trigger"] = {"kind": "cron", "cron": "30 3 * * *"}
            schedule = create(session, tenant, ScheduleCreate.model_validate(asked))
        comparison = finished_comparison(database, storage, folder, tenant, finished.dataset)
        return cls(tenant, finished, rejected.id, failed.id, comparison, schedule.id)

    def pages(self) -> dict[str, str]:
        """Every page that shows something, by a name for its picture."""
        made = self.finished
        return {
            "overview": "/",
            "datasets": "/console/datasets",
            "dataset": f"/console/datasets/{made.dataset}",
            "dataset-rejected": f"/console/datasets/{self.rejected}",
            "dataset-delete": f"/console/datasets/{made.dataset}/delete",
            "jobs": "/console/jobs",
            "job-new": "/console/jobs/new?preset=published",
            "job": f"/console/jobs/{made.job}",
            "job-finetune": f"/console/jobs/{made.finetune}",
            "job-failed": f"/console/jobs/{self.failed}",
            "job-comparison": f"/console/jobs/{self.comparison}",
            "comparison-new": "/console/comparisons/new",
            "coresets": "/console/coresets",
            "coreset": f"/console/coresets/{made.coreset}",
            "coreset-scores": f"/console/coresets/{made.coreset}?tab=scores",
            "coreset-map": f"/console/coresets/{made.coreset}?tab=map",
            "coreset-compare": f"/console/coresets/{made.coreset}?tab=compare",
            "coreset-train": f"/console/coresets/{made.coreset}?tab=train",
            "adapters": "/console/adapters",
            "adapter": f"/console/adapters/{made.adapter}",
            "models": "/console/models",
            "schedules": f"/console/schedules?like={made.job}",
            "schedule": f"/console/schedules/{self.schedule}",
            "webhooks": "/console/webhooks",
            "webhook": f"/console/webhooks/{made.webhook}",
            "keys": "/console/keys",
            "server": "/console/server",
        }
